"""A process that goes on from a checkpoint is the process that was never stopped."""

from __future__ import annotations

import copy
import io
import json

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snakegym.control.progress.checkpoint import ProcessCheckpoint
from snakegym.control.records import Assignment
from snakegym.errors import SnakegymError

RANDOM = {"layer_order": "random", "repeat_layers": False}


def through_a_file(checkpoint: ProcessCheckpoint) -> ProcessCheckpoint:
    """Written and read without any code in the file."""
    file = io.BytesIO()
    text = json.dumps(checkpoint.journal)
    torch.save({"layers": [dict(layer) for layer in checkpoint.layers], "text": text}, file)
    file.seek(0)
    read = torch.load(file, weights_only=True)
    return ProcessCheckpoint(tuple(read["layers"]), json.loads(read["text"]))


def act(controller, executor, rng) -> None:
    legal = np.argwhere(controller.view().legal)
    if len(legal) == 0 or rng.random() < 0.1:
        controller.wait()
        return
    job = controller.dispatch(Assignment(*(int(i) for i in rng.choice(legal))))
    controller.complete(job.id, executor.run(job))


def same(a, b) -> None:
    assert (a.clock_s, a.spent, a.waits, a.metric) == (b.clock_s, b.spent, b.waits, b.metric)
    np.testing.assert_equal([repr(hop) for hop in a.history], [repr(hop) for hop in b.history])
    assert a.recoveries == b.recoveries
    assert a.pool.events == b.pool.events
    for x, y in zip(a.state.layers, b.state.layers, strict=True):
        assert all(torch.equal(x[name], y[name]) for name in x)
    one, other = a.view(), b.view()
    for mine, its in ((one.nodes, other.nodes), (one.layers, other.layers)):
        for name, value in vars(mine).items():
            np.testing.assert_array_equal(value, vars(its)[name], err_msg=name)
    assert (one.legal == other.legal).all()
    assert (one.held == other.held).all()
    assert (one.holder, one.cycle) == (other.holder, other.cycle)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**31 - 1), mode=st.sampled_from(["p2p", "cs"]), hops=st.integers(0, 10))
def test_a_restored_process_goes_on_bit_exactly(start, random_network, strict_pool, seed, mode, hops):
    def fresh():
        network = random_network(np.random.default_rng(seed))
        return start(mode, network=network, pool=strict_pool, seed=seed, wait_s=4, **RANDOM)

    rng = np.random.default_rng(seed)
    straight, executor = fresh()
    for _ in range(hops):
        act(straight, executor, rng)
    resumed, other = fresh()
    resumed.restore(through_a_file(straight.checkpoint()))
    same(straight, resumed)
    again = np.random.default_rng()
    again.bit_generator.state = rng.bit_generator.state
    for _ in range(8):
        act(straight, executor, rng)
        act(resumed, other, again)
        same(straight, resumed)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**31 - 1), mode=st.sampled_from(["p2p", "cs"]))
def test_nothing_depends_on_what_trimming_forgets(start, random_network, strict_pool, seed, mode):
    """Trimmed after every step, and restored now and then, a process is what it is without that."""

    def fresh():
        network = random_network(np.random.default_rng(seed))
        return start(mode, network=network, pool=strict_pool, seed=seed, wait_s=4, **RANDOM)

    straight, executor = fresh()
    trimmed, other = fresh()
    rng, again = np.random.default_rng(seed), np.random.default_rng(seed)
    joined, lost = [], []
    for step in range(24):
        act(straight, executor, rng)
        act(trimmed, other, again)
        joined += trimmed.pool.events
        lost += trimmed.recoveries
        trimmed.trim()
        if step % 5 == 4:
            checkpoint = through_a_file(trimmed.checkpoint())
            trimmed, other = fresh()
            trimmed.restore(checkpoint)
        kept = len(trimmed.history)
        assert kept == min(8, straight.hops)
        assert [repr(hop) for hop in trimmed.history] == [repr(hop) for hop in straight.history[-8:]]
    assert (joined, lost) == (straight.pool.events, straight.recoveries)
    whole = copy.copy(straight)
    whole.history, whole.pool = trimmed.history, copy.copy(straight.pool)
    whole.pool.events, trimmed._model.recoveries = [], straight.recoveries
    same(whole, trimmed)


def test_a_checkpoint_does_not_change_while_its_process_goes_on(start, hop):
    controller, executor = start()
    hop(controller, executor, 0, 0)
    checkpoint = controller.checkpoint()
    before = through_a_file(checkpoint)
    hop(controller, executor, 1, 1)
    assert json.dumps(checkpoint.journal) == json.dumps(before.journal)
    resumed, _ = start()
    resumed.restore(checkpoint)
    assert len(resumed.history) == 1
    assert resumed.clock_s < controller.clock_s


def test_neither_network_nor_data_are_in_it(start, hop):
    controller, executor = start()
    hop(controller, executor, 0, 0)
    layers = controller.checkpoint().layers
    assert len(layers) == 5 + 3, "the model of five layers, and the initial three that were trained over"


def test_no_checkpoint_in_the_middle_of_a_hop(start):
    controller, _ = start()
    controller.dispatch(Assignment(0, 0))
    with pytest.raises(SnakegymError, match="under way"):
        controller.checkpoint()


def test_a_checkpoint_of_another_process_is_refused(start, hop):
    controller, executor = start()
    checkpoint = controller.checkpoint()
    checkpoint.journal["caches"]["_versions"] = [[0, 0]]
    with pytest.raises(SnakegymError, match=r"field 'versions': found shape \[1, 2\], expected \[5, 5\]"):
        start()[0].restore(checkpoint)
    whole = controller.checkpoint()
    hop(controller, executor, 0, 0)
    clock_s = controller.clock_s
    whole.journal["model"]["recoveries"] = [{"time_s": "soon"}]
    with pytest.raises(SnakegymError, match=r"field 'Recovery\.0\.time_s'"):
        controller.restore(whole)
    assert (controller.clock_s, len(controller.history)) == (clock_s, 1), "all or nothing"
    for place, name in [((), "clock_s"), (("spent",), "energy_j"), (("model", "progress"), "metric")]:
        broken = through_a_file(controller.checkpoint())
        section = broken.journal
        for key in place:
            section = section[key]
        section[name] = float("nan")
        with pytest.raises(SnakegymError, match=f"field '{name}': found nan, expected a finite number"):
            controller.restore(broken)
    with pytest.raises(SnakegymError, match=r"checkpoint: found KeyError at 'model'"):
        start()[0].restore(ProcessCheckpoint((), {}))


def leaves(plain, place=()):
    """Where in a journal every value stands that is neither list nor dictionary; of a list the first."""
    if not isinstance(plain, dict | list):
        yield place
        return
    for key in plain if isinstance(plain, dict) else range(min(len(plain), 1)):
        yield from leaves(plain[key], (*place, key))


def spoilt(checkpoint, place, value):
    """The checkpoint with another value there."""
    broken = through_a_file(checkpoint)
    section = broken.journal
    for key in place[:-1]:
        section = section[key]
    section[place[-1]] = value
    return broken


@pytest.mark.parametrize("value", [None, float("nan"), "x", True, -7, 2.5, 10**30, []])
def test_whatever_is_wrong_with_a_checkpoint_is_one_error_at_restore(start, hop, strict_pool, value):
    controller, executor = start(pool=strict_pool, **RANDOM)
    for layer in range(3):
        hop(controller, executor, layer, int(np.flatnonzero(controller.view().legal[layer])[0]))
    checkpoint = through_a_file(controller.checkpoint())
    places = list(leaves(checkpoint.journal))
    refused = 0
    other, _ = start(pool=strict_pool, **RANDOM)
    for place in places:
        before = json.dumps(other.checkpoint().journal)
        try:
            other.restore(spoilt(checkpoint, place, value))
        except SnakegymError as error:
            message = str(error)
        else:  # it is a value that a process may have
            other.view()
            other.restore(checkpoint)
            continue
        refused += 1
        assert message.startswith("checkpoint"), place
        assert "\n" not in message, place
        assert json.dumps(other.checkpoint().journal) == before, "all or nothing"
    assert refused >= 20, "of some hundred values"


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("waits",), None, "field 'waits': found None, expected a whole number, 0 or more"),
        (("finished",), 0, "field 'finished': found 0, expected true or false"),
        (("clock_s",), True, "field 'clock_s': found True, expected a finite number"),
        (("caches", "_latest"), 1.5, "field 'latest': found 1.5, expected a whole number"),
        (("model", "holder"), 9, "field 'holder': found 9, expected a whole number, -1 or more, less than 4"),
        (("model", "out_since"), "noon", "field 'out_since': found 'noon', expected a finite number"),
        (("model", "progress", "cycle", "order"), [0, 0, 1], "expected every layer once"),
        (("model", "progress", "labels"), [None] * 10, "field 'labels': found [None, "),
        (("pool", "visits"), [0, 1, 2, 0.5], "field 'visits': found [0, 1, 2, 0.5], expected whole numbers"),
        (("pool", "last_gain"), [0, 1, 2, float("nan")], "field 'last_gain': found [0, 1, 2, nan], expected"),
        (("pool", "visits"), [[0], 1], "field 'visits': found [[0], 1], expected numbers of shape [4]"),
        (("history", 0, "metric"), float("nan"), "field 'Hop.0.metric': found nan, expected a finite number"),
        (("history", 0, "batches"), "3", "field 'Hop.0.batches'"),
    ],
)
def test_a_wrong_value_in_a_checkpoint_is_named(start, hop, place, value, message):
    controller, executor = start()
    hop(controller, executor, 0, 0)
    with pytest.raises(SnakegymError) as error:
        start()[0].restore(spoilt(controller.checkpoint(), place, value))
    assert message in str(error.value)
