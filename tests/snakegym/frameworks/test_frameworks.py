"""What holds for every framework."""

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from snakegym.errors import SnakegymError
from snakegym.frameworks.ledger import Ledger
from snakegym.frameworks.problem import load_problem
from snakegym.frameworks.records import Checkpoint
from snakegym.frameworks.registry import FRAMEWORKS, OF_IMAGES, framework_name, make_framework
from snakegym.network.network import Network, NodeProfile, constant_network
from snakegym.network.traces.trace import LinkTrace, Trace
from snakegym.scenario import load_scenario

SAMPLES = (4, 5, 6, 7, 8)
NAMES = list(OF_IMAGES)


@pytest.fixture
def problem(make_problem):
    return make_problem(SAMPLES, middle=5, epochs=1)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_problem_gives_the_same_records(problem, name):
    first, second = ([make_framework(name, problem).round()] for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", NAMES)
def test_going_on_from_a_checkpoint_changes_nothing(problem, name):
    straight = make_framework(name, problem)
    straight.round()
    checkpoint = straight.checkpoint()
    resumed = make_framework(name, problem)
    resumed.restore(Checkpoint(checkpoint.layers, json.loads(json.dumps(checkpoint.journal))))
    same_checkpoint(resumed.checkpoint(), checkpoint)
    assert [straight.round() for _ in range(2)] == [resumed.round() for _ in range(2)]
    assert straight.clock_s == resumed.clock_s
    assert straight.log() == resumed.log()
    same_checkpoint(resumed.checkpoint(), straight.checkpoint())


def same_checkpoint(a, b):
    assert json.dumps(a.journal) == json.dumps(b.journal)  # nan is not nan
    for ours, theirs in zip(a.layers, b.layers, strict=True):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("name", NAMES)
def test_checkpoints_of_something_else_are_refused(problem, make_problem, name):
    other = make_problem(SAMPLES, middle=4, epochs=1)
    framework = make_framework(name, problem)
    with pytest.raises(SnakegymError, match="checkpoint"):
        framework.restore(make_framework(name, other).checkpoint())
    with pytest.raises((SnakegymError, KeyError)):
        framework.restore(Checkpoint(framework.checkpoint().layers, {}))


@pytest.mark.parametrize("name", [n for n in NAMES if n != "snake-interrupted"])
def test_every_round_is_as_many_passes_over_the_data(problem, name):
    framework = make_framework(name, problem)
    assert [framework.round().passes for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("name", NAMES)
def test_records_are_plain_finite_numbers(problem, name):
    framework = make_framework(name, problem)
    total = 0.0
    for _ in range(2):
        record = framework.round()
        total += record.time_s
        plain = asdict(record)
        assert all(math.isfinite(v) and v >= 0 for v in plain.values())
        assert json.loads(json.dumps(plain)) == plain
    assert framework.clock_s == pytest.approx(total)


def test_random_generators_are_left_alone(problem):
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    for name in NAMES:
        make_framework(name, problem).round()
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert (np.random.get_state()[1] == numpy_before[1]).all()  # noqa: NPY002


def test_names_and_aliases():
    assert framework_name("snake") == "snake-p2p"
    assert framework_name("fedavg") == "fedavg"
    with pytest.raises(
        SnakegymError, match="unknown framework 'fedprox': expected one of centralised, fedavg"
    ):
        framework_name("fedprox")


def test_a_seed_draws_the_same_problem_for_all():
    scenario = load_scenario("default")
    first, again, other = (load_problem(scenario, seed) for seed in (1, 1, 2))
    assert first.samples == again.samples != other.samples
    assert first.network.link_names == again.network.link_names != other.network.link_names
    weights = [p.initial.layers[0]["1.weight"] for p in (first, again, other)]
    assert (weights[0] == weights[1]).all()
    assert not (weights[0] == weights[2]).all()


def outage_network(timeout_s):
    """A node whose link is down from 10 s to 30 s of every minute."""
    link = Trace("link", [0.0, 10.0, 30.0], [8.0, 0.0, 8.0], 60.0)
    profile = NodeProfile("n", 100.0, 1e6, 1.0, 2.0)
    free = Trace("free", [0.0], [1.0])
    return Network([profile], [free], [LinkTrace("link", link, link, 0.0)], timeout_s=timeout_s)


def test_the_ledger_waits_for_short_outages():
    ledger = Ledger(outage_network(25.0), 0.0)
    assert ledger.send(0, -1, 15, 0.0) == pytest.approx(35.0)  # 10 bytes, 20 s of nothing, 5 bytes
    assert ledger.energy_j == pytest.approx(2.0 * 35)
    assert ledger.n_bytes == 15


def test_the_ledger_refuses_an_outage_that_does_not_end():
    with pytest.raises(SnakegymError, match="link from node 0 to the server: found an outage"):
        Ledger(outage_network(5.0), 0.0).send(0, -1, 15, 0.0)


def test_nothing_to_send_takes_no_time():
    ledger = Ledger(outage_network(5.0), 0.0)
    assert ledger.send(0, -1, 0, 12.0) == 12.0
    assert ledger.send(0, 0, 7, 12.0) == 12.0
    assert ledger.messages == 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [None, math.nan, "x", True, -7])
def test_a_damaged_checkpoint_changes_nothing(problem, name, value):
    framework = make_framework(name, problem)
    framework.round()
    checkpoint = framework.checkpoint()
    fresh = make_framework(name, problem)
    before, state = json.dumps(fresh.checkpoint().journal), fresh.state
    for field in checkpoint.journal:
        if field in ("clock_s", "trained_samples") and value == -7:
            continue
        with pytest.raises(SnakegymError, match="checkpoint"):
            fresh.restore(Checkpoint(checkpoint.layers, {**checkpoint.journal, field: value}))
        assert json.dumps(fresh.checkpoint().journal) == before, field
        assert fresh.state is state


@pytest.mark.parametrize("name", [n for n in NAMES if n != "centralised"])
def test_a_node_without_the_memory_is_named_before_anything_is_trained(problem, name):
    needed = make_framework(name, problem).node_memory()
    for room, fits in ((needed, True), (needed - 1, False)):
        profiles = [NodeProfile(f"n{i}", 1e3, room if i == 2 else 1e7, 1.0, 1.0) for i in range(len(SAMPLES))]
        tight = replace(problem, network=constant_network(profiles, 0.5, 8e3, 16e3))
        if fits:
            FRAMEWORKS[name].check(tight)
            continue
        with pytest.raises(SnakegymError) as error:
            FRAMEWORKS[name].check(tight)
        assert f"node 2 (n2) has {room:.0f} bytes of memory" in str(error.value)
        assert f"needs {needed:.0f}" in str(error.value)
