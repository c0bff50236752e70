"""The MILP plan is optimal, legal, and costs on a frozen network exactly what it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snakegym.agents.gain import GainModel
from snakegym.agents.greedy import GreedyScheduler
from snakegym.agents.milp.sequential import SequentialMilpScheduler
from snakegym.control.forecast import forecast
from snakegym.control.records import Assignment
from snakegym.control.view import ProcessView
from snakegym.network.records import PCE
from snakegym.scenario import load_scenario

EAGER = GainModel(rate=2.0, fade=0.6)
"""Every hop is worth while."""
COOL = GainModel(rate=0.05, fade=0.6)
"""Some hops are, some are not."""


class FlatGain(GainModel):
    """A first visit brings 2, another one nothing."""

    def expected(self, view: ProcessView) -> Any:
        return np.full(view.n_nodes, 2.0)

    def again(self, gain: Any, gap: Any) -> Any:
        return np.zeros_like(gain)


class EvenGain(FlatGain):
    """Every visit brings 2."""

    def again(self, gain: Any, gap: Any) -> Any:
        return gain


def planner(controller: Any, gain: GainModel = EAGER) -> SequentialMilpScheduler:
    return SequentialMilpScheduler(controller.scenario, gain)


def advance(process: Any, hops: Sequence[Assignment]) -> list[Any]:
    controller, executor = process
    done = []
    for assignment in hops:
        job = controller.dispatch(assignment)
        done.append(controller.complete(job, executor.run(job)))
    return done


def random_hops(process: Any, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(n):
        legal = np.argwhere(process[0].view().legal)
        node, layer = legal[rng.integers(len(legal))]
        advance(process, [Assignment(int(node), int(layer))])


def reward_of(view: ProcessView, nodes: Sequence[int], layers: Sequence[int], gain: GainModel) -> float:
    """Expected reward of a sequence of hops, followed hop by hop with the forecast of a single hop."""
    last: dict[int, int] = {}
    total, expected = 0.0, view.objective.gain * gain.expected(view)
    prices = view.objective.prices()
    held, holder = view.held.copy(), view.holder
    for t, (node, layer) in enumerate(zip(nodes, layers, strict=True)):
        missing = replace(view.nodes, missing_bytes=~held @ view.layer_bytes)
        hop = forecast(replace(view, nodes=missing, holder=holder))
        costs = hop.time_s[node, layer], hop.energy_j[node, layer], hop.n_bytes[node, layer]
        brings = gain.again(expected[node], np.float64(t - last[node])) if node in last else expected[node]
        total += float(brings) - float(np.dot(prices, costs))
        held[:, [0, layer + 1, -1]] = False
        held[node] = True
        holder, last[node] = (PCE if view.mode == "cs" else node), t
    return float(total)


@pytest.mark.parametrize("mode", ["p2p", "cs"])
@pytest.mark.parametrize("gain", [EAGER, COOL], ids=["eager", "cool"])
@pytest.mark.parametrize("seed", range(6))
def test_as_good_as_the_best_of_all_sequences(
    frozen_process: Any, mode: str, gain: GainModel, seed: int
) -> None:
    process = frozen_process(3, 3, mode, seed=seed)
    random_hops(process, seed, seed)
    view = process[0].view()
    plan = planner(process[0], gain).plan(view)
    layers = np.flatnonzero(~view.layers.trained_in_cycle).tolist()
    sequences = [s for n in range(len(layers) + 1) for s in product(range(3), repeat=n)]

    def worth(nodes: Sequence[int]) -> float:
        return reward_of(view, nodes, layers[: len(nodes)], gain)

    chosen = [a.node for a in plan.assignments]
    assert [a.layer for a in plan.assignments] == layers[: len(chosen)]
    assert gain is COOL or len(chosen) == len(layers)
    assert plan.total == pytest.approx(reward_of(view, chosen, layers[: len(chosen)], gain), rel=1e-9)
    assert worth(chosen) == pytest.approx(max(map(worth, sequences)), rel=1e-9)


@pytest.mark.parametrize("mode", ["p2p", "cs"])
@pytest.mark.parametrize("before", [0, 3, 8])
def test_replayed_plan_costs_what_it_said(frozen_process: Any, mode: str, before: int) -> None:
    process = frozen_process(6, 5, mode, seed=before)
    random_hops(process, before, before)
    plan = planner(process[0]).plan(process[0].view())
    assert len(plan.costs) == len(plan.assignments) == 5 - before % 5
    for hop, planned in zip(advance(process, plan.assignments), plan.costs, strict=True):
        assert hop.costs.time_s == pytest.approx(planned.time_s, rel=1e-6)
        assert hop.costs.energy_j == pytest.approx(planned.energy_j, rel=1e-6)
        assert hop.costs.n_bytes == pytest.approx(planned.n_bytes, rel=1e-6)


@pytest.mark.parametrize("before", [0, 3, 8])
@pytest.mark.parametrize("k", [2, 3])
def test_companions_are_reckoned_with(frozen_process: Any, before: int, k: int) -> None:
    process = frozen_process(6, 5, "cs", seed=before, parallel=k)
    random_hops(process, before, before)
    plan = planner(process[0]).plan(process[0].view())
    assert len(plan.assignments) == 5 - before % 5
    done = advance(process, plan.assignments)
    assert [len(hop.parts) for hop in done] == [k] * len(done)
    first, planned = done[0].costs, plan.costs[0]
    assert first.time_s == pytest.approx(planned.time_s, rel=1e-6)
    assert first.energy_j == pytest.approx(planned.energy_j, rel=1e-6)
    assert first.n_bytes == pytest.approx(planned.n_bytes, rel=1e-6)
    for hop, planned in zip(done, plan.costs, strict=True):  # who goes along later is a guess
        assert hop.costs.time_s == pytest.approx(planned.time_s, rel=0.5)


def toy(view: ProcessView) -> ProcessView:
    """Three nodes, two layers; a second costs 1, everything else nothing, and a hop brings 20.

    Training takes 10, 5 and 1 s. The whole model travels in 4 s, except from node 2: in 400 s.
    """
    nodes = replace(
        view.nodes,
        availability=np.ones(3),
        mean_availability=np.ones(3),
        peak_flops=np.array([1e6, 2e6, 1e7]),
        samples=np.array([10, 10, 10]),
        uplink_bps=np.array([8e3, 8e3, 80.0]),
        mean_uplink_bps=np.array([8e3, 8e3, 80.0]),
        downlink_bps=np.full(3, 8e3),
        mean_downlink_bps=np.full(3, 8e3),
        rtt_s=np.zeros(3),
        missing_bytes=np.full(3, 4e3),
    )
    nominal = view.objective.nominal.model_copy(update={"time_s": 1.0})
    objective = view.objective.model_copy(
        update={"gain": 10.0, "time": 1.0, "energy": 0.0, "n_bytes": 0.0, "nominal": nominal}
    )
    layers = replace(view.layers, flops=np.full(2, 1e6))
    return replace(
        view,
        nodes=nodes,
        layers=layers,
        objective=objective,
        layer_bytes=np.full(4, 1e3),
        epochs=1,
        evaluation_flops=0.0,
    )


def test_toy_network_with_known_optimum(frozen_process: Any) -> None:
    """Node 2 is by far the fastest, but who begins there cannot leave, and staying brings nothing.

    By hand: node 1 (4 s + 5 s), then node 2 (4 s + 1 s): 2 * 20 - 14 = 26. Beginning at node 2
    (5 s) and staying (1 s): 20 - 6 = 14.
    """
    controller, _ = frozen_process(3, 2)
    view = toy(controller.view())
    plan = planner(controller, FlatGain()).plan(view)
    assert plan.assignments == (Assignment(1, 0), Assignment(2, 1))
    assert [c.time_s for c in plan.costs] == pytest.approx([9.0, 5.0])
    assert plan.total == pytest.approx(26.0)
    assert GreedyScheduler(controller.scenario, FlatGain()).schedule(view) == Assignment(2, 0)


@pytest.mark.parametrize(
    ("gain", "left_s", "nodes"),
    [
        (FlatGain(), 14.1, [1, 2]),
        (FlatGain(), 13.9, [2]),
        (EvenGain(), 6.1, [2, 2]),
        (EvenGain(), 5.9, [2]),
        (EvenGain(), 4.9, []),
    ],
)
def test_a_plan_ends_in_time(frozen_process: Any, gain: GainModel, left_s: float, nodes: list[int]) -> None:
    """The toy's best plan takes 14 s; if staying brings as much, staying at node 2 is best and takes 6 s."""
    controller, _ = frozen_process(3, 2)
    view = toy(controller.view())
    view = replace(view, clock_s=view.budget.time_s - left_s)
    plan = planner(controller, gain).plan(view)
    assert [a.node for a in plan.assignments] == nodes
    assert sum(c.time_s for c in plan.costs) <= left_s


@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_plans_respect_legality(view: ProcessView, data: st.DataObject) -> None:
    shape = view.legal.shape
    bools = st.lists(st.booleans(), min_size=shape[0], max_size=shape[0])
    reachable = np.array(data.draw(bools))
    memory = np.array(data.draw(st.lists(st.integers(0, 5), min_size=shape[0], max_size=shape[0])))
    needed = np.array(data.draw(st.lists(st.integers(1, 5), min_size=shape[1], max_size=shape[1])))
    able = reachable[:, None] & (memory[:, None] >= needed)
    changed = replace(
        view,
        nodes=replace(view.nodes, reachable=reachable, memory_bytes=memory.astype(float)),
        layers=replace(view.layers, memory_bytes=needed.astype(float)),
        legal=able,
    )
    scheduler = SequentialMilpScheduler(load_scenario("default"), EAGER)
    plan = scheduler.plan(changed)
    assert [a.layer for a in plan.assignments] == np.flatnonzero(able.any(axis=0)).tolist()
    assert all(able[a.node, a.layer] for a in plan.assignments)
    assert isinstance(scheduler.schedule(changed), Assignment) == able.any()


def test_layers_follow_the_order_of_the_process(frozen_process: Callable[..., Any]) -> None:
    controller, _ = frozen_process(3, 4, layer_order="reverse")
    plan = planner(controller).plan(controller.view())
    assert [a.layer for a in plan.assignments] == [3, 2, 1, 0]


def test_many_nodes_and_layers_are_cut_to_size(frozen_process: Any) -> None:
    process = frozen_process(40, 12, seed=3)
    plan = planner(process[0]).plan(process[0].view())
    assert [a.layer for a in plan.assignments] == list(range(10))
    assert plan == planner(process[0]).plan(process[0].view())
    for hop, planned in zip(advance(process, plan.assignments), plan.costs, strict=True):
        assert hop.costs.time_s == pytest.approx(planned.time_s, rel=1e-6)
