"""CS mode with several nodes on the same layer at the same time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from snakegym.control.execution.interrupting import InterruptingExecutor
from snakegym.control.forecast import companions, forecast
from snakegym.control.records import Assignment
from snakegym.errors import SnakegymError
from snakegym.learning.aggregation import average
from snakegym.models.state import ModelState
from snakegym.network.network import Network, NodeProfile
from snakegym.network.traces.trace import LinkTrace, Trace
from snakegym.scenario import Scenario, load_scenario


def states(*values: float) -> list[ModelState]:
    shared = {"w": torch.ones(2)}
    return [ModelState((shared, {"w": torch.full((3,), v), "n": torch.tensor(7)})) for v in values]


def test_the_average_is_weighted_by_samples_and_shares_what_nobody_changed():
    a, b = states(1.0, 4.0)
    mean = average([a, b], [10, 20])
    assert mean.layers[0] is a.layers[0]
    torch.testing.assert_close(mean.layers[1]["w"], torch.full((3,), 3.0))
    assert mean.layers[1]["n"] == 7
    assert a.layers[1]["w"][0] == 1.0
    assert average([a], [5]) is a
    with pytest.raises(SnakegymError, match="expected one number above 0 a state"):
        average([a, b], [1])


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_the_forecast_is_exact_where_rates_never_change(start, hop, k):
    controller, executor = start("cs", parallel=k)
    for node, layer in [(0, 0), (1, 2), (3, 1), (0, 1), (2, 2), (2, 0)]:
        view = controller.view()
        expected, team = forecast(view), companions(view, node, layer)
        assert len(team) == k - 1
        done = hop(controller, executor, node, layer)
        assert tuple(part.node for part in done.parts) == (node, *team)
        assert done.costs.time_s == pytest.approx(expected.time_s[node, layer], rel=1e-9)
        assert done.costs.energy_j == pytest.approx(expected.energy_j[node, layer], rel=1e-9)
        assert done.costs.n_bytes == expected.n_bytes[node, layer]


def test_the_fastest_legal_nodes_go_along(start):
    controller, _ = start("cs", parallel=3)
    view = controller.view()
    own = forecast(start("cs")[0].view()).time_s[:, 1]
    order = [int(n) for n in np.argsort(own)]
    slowest = order[-1]
    assert companions(view, slowest, 1) == tuple(order[:2])
    assert companions(view, order[0], 1) == tuple(order[1:3])


def test_the_pce_averages_and_all_members_pay(start):
    controller, executor = start("cs", parallel=2)
    job = controller.dispatch(Assignment(0, 1))
    alone = executor.engine.train([executor.training(m) for m in job.members])
    outcome = executor.run(job)
    expected = average([r.state for r in alone], [m.training.samples for m in job.members])
    for (i, _), layer in outcome.layers.items():
        mean = expected.layers[i]
        assert all(torch.equal(layer[name], mean[name]) for name in layer)
    done = controller.complete(job.id, outcome)
    a, b = (part.phases.costs for part in done.parts)
    assert done.costs.time_s == max(a.time_s, b.time_s)
    assert done.costs.energy_j == a.energy_j + b.energy_j
    assert controller.pool.energy_j.sum() == pytest.approx(done.costs.energy_j)
    view = controller.view()
    changed = view.layer_bytes[[0, 2, -1]].sum()
    members = [part.node for part in done.parts]
    assert (view.nodes.missing_bytes[members] == changed).all(), "each holds its own update, not the mean"
    assert view.nodes.visits[members].tolist() == [1, 1]


def test_if_one_of_two_drops_out_the_other_ones_update_counts(start):
    profiles = [NodeProfile(f"n{i}", 1e7, 8e6, 0.3, 0.5) for i in range(4)]
    up, dying = Trace("u", [0], [1e6]), Trace("d", [0, 0.1], [1e6, 0.0], 1e5)
    links = [LinkTrace("l", up, up, 0.0), LinkTrace("l", dying, dying, 0.0)] + [
        LinkTrace("l", up, up, 0.0)
    ] * 2
    network = Network(profiles, [Trace("c", [0], [1.0])] * 4, links)
    controller, executor = start("cs", network=network, parallel=4)
    job = controller.dispatch(Assignment(1, 0))
    done = controller.complete(job.id, executor.run(job))
    assert [part.delivered for part in done.parts] == [False, True, True, True]
    assert done.delivered
    assert done.parts[0].phases.reason == "link"
    assert controller.cycle.times_trained[0] == 1
    assert controller.view().nodes.interruptions.tolist() == [0, 1, 0, 0]
    assert done.costs.time_s == done.parts[0].phases.duration_s, "the PCE waits for the slowest"


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_an_interrupted_update_weighs_by_the_samples_really_used(start, share):
    """Node 2's compute goes in the middle of its training; half an update is half a weight."""
    profiles = [NodeProfile(f"n{i}", 1e6, 8e6, 0.3, 0.5) for i in range(4)]
    up = Trace("u", [0], [1e6])

    def begin(free: Trace):
        computes = [free if n == 2 else Trace("c", [0], [1.0]) for n in range(4)]
        network = Network(profiles, computes, [LinkTrace("l", up, up, 0.0)] * 4, timeout_s=5)
        controller, executor = start("cs", network=network, parallel=2, learning={"batch_size": 8})
        return controller, executor, controller.dispatch(Assignment(2, 0))

    _, executor, job = begin(Trace("c", [0], [1.0]))
    whole = executor.run(job).phases
    out = whole.receive_s + share * whole.compute_s
    controller, executor, job = begin(Trace("c", [0, out, out + 1e3], [1.0, 0.0, 1.0], 1e6))
    outcome = executor.run(job)
    done = controller.complete(job.id, outcome)
    half, full = done.parts
    assert (half.delivered, full.delivered, full.used) == (True, True, 1)
    assert half.used == pytest.approx(share, abs=0.1)
    whole = executor.training(job.companions[0])
    trainings = [replace(executor.training(job), max_batches=half.batches), whole]
    states = [result.state for result in executor.engine.train(trainings)]
    n = [len(training.indices) for training in trainings]
    expected = average(states, [half.used * n[0], n[1]])
    for (i, _), layer in outcome.layers.items():
        mean = expected.layers[i]
        for name in layer:
            torch.testing.assert_close(layer[name], mean[name], rtol=0, atol=1e-7)


def test_labels_are_remembered_by_the_samples_really_used(start, hop):
    whole, half = start("cs"), start("cs")
    initial = whole[0].managers.labels.mean
    own = whole[0].managers.data.labels[1]
    hop(*whole, 1, 0)
    done = hop(half[0], InterruptingExecutor(half[1], 0, 0.5, 10), 1, 0)
    used = done.parts[0].used
    assert 0 < used < 1
    np.testing.assert_allclose(whole[0].managers.labels.mean, 0.7 * initial + 0.3 * own)
    expected = (1 - 0.3 * used) * initial + 0.3 * used * own
    np.testing.assert_allclose(half[0].managers.labels.mean, expected)


@pytest.mark.parametrize("k", [1, 3])
def test_without_a_finished_batch_nothing_is_uploaded(start, hop, k):
    controller, executor = start("cs", parallel=k)
    before, size = controller.state, controller.view().layer_bytes
    done = hop(controller, InterruptingExecutor(executor, 0, 0.01, 10), 1, 0)
    assert not done.delivered
    assert [part.batches for part in done.parts] == [0] * k
    assert done.costs.n_bytes == k * size.sum(), "the model came, nothing went"
    assert all(part.phases.send_s == 0 for part in done.parts)
    assert controller.state is before
    assert controller.view().nodes.missing_bytes[1] == 0, "it has what it received"


def test_parallel_training_needs_a_pce():
    config = load_scenario("default").model_dump()
    config["process"]["parallel"] = 2
    with pytest.raises(ValueError, match="expected 1 in mode p2p"):
        Scenario.model_validate(config)
    config["network"]["mode"] = "cs"
    config["process"]["parallel"] = 10
    with pytest.raises(ValueError, match=r"at most network\.nodes, 9"):
        Scenario.model_validate(config)
