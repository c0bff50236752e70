"""P2P: the model is with its last node, which may be lost with it."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snakegym.control.execution.interrupting import InterruptingExecutor
from snakegym.control.records import Recovery
from snakegym.network.network import Network, NodeProfile
from snakegym.network.records import PCE
from snakegym.network.traces.trace import LinkTrace, Trace

PROFILE = NodeProfile("n", 1e7, 8e6, 0.3, 0.5)


def network_where(links: dict[int, Trace]) -> Network:
    """Four equal nodes on constant links, but for those given."""
    up = Trace("c", [0], [1e6])
    return Network(
        [PROFILE] * 4,
        [Trace("c", [0], [1.0])] * 4,
        [LinkTrace("l", links.get(n, up), links.get(n, up), 0.1) for n in range(4)],
    )


def dies_at(time_s: float, back_s: float = 1e5) -> Trace:
    return Trace("d", [0, time_s, back_s], [1e6, 0.0, 1e6], back_s + 1e5)


def equal(a, b) -> bool:
    return all(torch.equal(x[k], y[k]) for x, y in zip(a.layers, b.layers, strict=True) for k in x)


def wait_until(controller, time_s: float) -> None:
    while controller.clock_s < time_s:
        controller.wait()


def test_a_lost_holder_is_given_up_and_the_latest_copy_taken(start, hop):
    controller, executor = start(network=network_where({2: dies_at(30)}), pool={"recovery_s": 10}, wait_s=4)
    hop(controller, executor, 0, 0)
    hop(controller, executor, 1, 1)
    kept, metric = controller.state, controller.metric
    hop(controller, executor, 2, 2)
    assert controller.cycle.index == 1, "three layers: the cycle is complete"
    hop(controller, executor, 2, 0)
    assert controller.clock_s < 30
    wait_until(controller, 30)
    view = controller.view()
    assert view.holder == 2
    assert not view.legal.any(), "nobody can fetch the model, and its holder is out of reach"
    out = controller.clock_s
    wait_until(controller, out + 10)
    view = controller.view()
    assert controller.recoveries == [Recovery(controller.clock_s, lost=2, source=1, hops_lost=2)]
    assert (view.holder, view.metric) == (1, metric)
    assert controller.state is kept
    assert (view.cycle, view.layers.open.tolist()) == (0, [False, False, True]), "as when node 1 was done"
    assert view.legal[[0, 1, 3], 2].all()
    assert view.nodes.missing_bytes[1] == 0
    assert view.nodes.missing_bytes[0] == view.layer_bytes[[0, 2, -1]].sum(), "what node 1 had trained"


def test_what_the_lost_holder_had_is_no_current_version_when_it_returns(start, hop):
    controller, executor = start(
        network=network_where({1: dies_at(10, 60)}), pool={"recovery_s": 5}, wait_s=5
    )
    hop(controller, executor, 0, 0)
    hop(controller, executor, 1, 1)
    assert controller.clock_s < 10
    wait_until(controller, 25)
    assert controller.recoveries[0].source == 0
    hop(controller, executor, 0, 1)
    wait_until(controller, 60)
    view = controller.view()
    assert view.nodes.reachable[1]
    # First, layer 1 and last were trained by both, but from different models.
    assert view.nodes.missing_bytes[1] == view.layer_bytes[[0, 2, -1]].sum()


def everything(controller) -> tuple:
    """Whatever belongs to the model, as far as it can be seen from outside."""
    view = controller.view()
    layers, nodes = view.layers, view.nodes
    arrays = (layers.times_trained, layers.trained_in_cycle, layers.last_gain, layers.open)
    labels = (nodes.divergence, nodes.distils, nodes.teacher_flops)
    rate = controller.scenario.learning.rate(view.cycle)
    return (view.metric, view.cycle, rate, [a.tolist() for a in (*arrays, *labels)])


@pytest.mark.parametrize("order", ["free", "random"])
def test_a_step_back_takes_everything_back_that_belongs_to_the_model(start, hop, order):
    """Label memory, distillation, counts, gains, cycle and learning rate: not the weights alone."""
    controller, executor = start(
        network=network_where({2: dies_at(60)}),
        pool={"recovery_s": 10},
        wait_s=4,
        layer_order=order,
        learning={"distillation": {"threshold": 0.3}},
    )

    def train(node):
        hop(controller, executor, node, int(controller.view().layers.open.argmax()))

    train(0)
    train(1)
    then, kept = everything(controller), controller.state
    for _ in range(4):
        train(2)
    assert controller.cycle.index == 2
    assert everything(controller)[-1] != then[-1]
    wait_until(controller, 90)
    assert controller.recoveries[0].source == 1
    assert everything(controller) == then
    assert controller.state is kept
    train(3)
    assert controller.cycle.index == 1, "the first cycle is completed, with the layer that it lacked"


def test_a_hop_is_lost_once(start, hop):
    """Node 2 is lost with hop 1, and what node 3 made of the copy is lost too, by itself."""
    links = {2: dies_at(20), 3: dies_at(45)}
    controller, executor = start(network=network_where(links), pool={"recovery_s": 8}, wait_s=4)
    hop(controller, executor, 0, 0)
    hop(controller, executor, 2, 1)
    wait_until(controller, 30)
    hop(controller, executor, 3, 1)
    assert controller.clock_s < 45
    wait_until(controller, 60)
    assert [(r.lost, r.source, r.hops_lost) for r in controller.recoveries] == [(2, 0, 1), (3, 0, 1)]


def test_without_any_copy_the_pc_starts_again(start, hop):
    controller, executor = start(network=network_where({1: dies_at(10)}), pool={"recovery_s": 5})
    initial, metric = controller.state, controller.metric
    hop(controller, executor, 1, 0)
    wait_until(controller, 25)
    assert controller.recoveries[0].source == PCE
    view = controller.view()
    assert (view.holder, view.metric) == (PCE, metric)
    assert equal(controller.state, initial)
    assert hop(controller, executor, 3, 0).sender == PCE


def test_a_holder_that_comes_back_in_time_keeps_the_model(start, hop):
    controller, executor = start(
        network=network_where({1: dies_at(10, 22)}), pool={"recovery_s": 20}, wait_s=5
    )
    hop(controller, executor, 1, 0)
    wait_until(controller, 60)
    assert controller.recoveries == []
    assert controller.view().holder == 1


def test_by_default_an_unreachable_holder_is_waited_for(start, hop):
    controller, executor = start(network=network_where({1: dies_at(10)}))
    hop(controller, executor, 1, 0)
    wait_until(controller, 300)
    assert controller.recoveries == []
    assert not controller.view().legal.any()


def test_a_holder_that_left_the_pool_still_hands_on(start, hop):
    controller, executor = start(pool={"max_epochs": 2})
    hop(controller, executor, 1, 0)
    view = controller.view()
    assert not view.nodes.in_pool[1]
    assert not view.legal[1].any()
    assert view.legal[[0, 2, 3], 1:].all()
    assert hop(controller, executor, 0, 1).sender == 1
    assert controller.recoveries == []


@pytest.mark.parametrize("forced", [0.0, 0.5])
@pytest.mark.parametrize("mode", ["p2p", "cs"])
def test_a_forced_interruption_happens_in_every_cycle_and_the_process_goes_on(start, hop, mode, forced):
    controller, executor = start(mode)
    executor = InterruptingExecutor(executor, layer=1, share=forced, given_up_s=7)
    for _ in range(2):
        for layer in range(3):
            before = controller.state
            done = hop(controller, executor, layer, layer)
            whole = -(-controller.view().nodes.samples[layer] // 32) * controller.scenario.learning.epochs
            if layer != 1:
                assert (done.phases.interrupted, done.batches) == (None, whole)
                continue
            assert (done.phases.interrupted, done.phases.reason) == ("compute", "node")
            assert done.phases.trained_share == pytest.approx(forced)
            assert done.batches <= whole * forced + 1
            assert done.phases.compute_s >= 7
            assert done.delivered == (forced > 0)
            assert equal(before, controller.state) == (forced == 0)
    assert controller.cycle.index == 2
    assert controller.cycle.times_trained[1] == (2 if forced else 0)
    assert np.isfinite(controller.spent.time_s)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.sets(st.integers(0, 3)), st.booleans())))
def test_as_many_hops_are_lost_as_the_sets_of_them_say(start, steps):
    """Counted by how many each copy has left, without remembering which; here they are remembered."""
    controller, _ = start()
    model = controller._model
    hops, copies, known = set(), {PCE: (-1, set())}, set()
    for index, (node, delivered, away, reported) in enumerate(steps):
        reachable = np.array([i not in away for i in range(4)])
        if delivered:
            model.progress = replace(model.progress, hops=model.progress.hops + 1)
            hops = hops | {index}
        model.received(node, Mock(index=index, delivered=delivered), reported=reported)
        copies |= {end: (index, hops) for end in ((node, PCE) if reported else (node,))}
        if away:
            gone = min(away)
            model.forget(gone)
            copies.pop(gone, None)
        if not model.give_up(reachable, False, float(index)):
            continue
        _, left = max(
            (copy for end, copy in copies.items() if end == PCE or reachable[end]), key=lambda c: c[0]
        )
        assert model.recoveries[-1].hops_lost == len(hops - left - known)
        known, hops = known | (hops - left), left
