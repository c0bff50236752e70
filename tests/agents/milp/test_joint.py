"""The joint plan is legal, near the best where one can tell, and costs on a frozen network what it says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snakegym.agents.milp.joint import MilpScheduler, SequentialMilpScheduler, in_order
from snakegym.agents.milp.plan import Plan
from snakegym.agents.planning.gain import FormulaGain, GainModel
from snakegym.agents.planning.greedy import GreedyScheduler
from snakegym.agents.planning.outlook import ForecastOutlook
from snakegym.agents.planning.state import PlanState
from snakegym.agents.planning.walk import follow
from snakegym.control.records import Assignment
from snakegym.control.view import ProcessView
from snakegym.scenario import load_scenario

WARM, COOL = FormulaGain(), FormulaGain(rate=0.05)
"""Most hops are worth while; some are, some are not."""


class EvenGain:
    """Every hop is worth while."""

    def expected(self, state: PlanState) -> Any:
        return np.full((len(state), state.view.n_nodes, state.view.n_middle), 0.05)


EVEN = EvenGain()


class Deeper:
    """Deeper layers bring more: no two are alike."""

    def expected(self, state: PlanState) -> Any:
        return WARM.expected(state) * np.linspace(1, 2, state.view.n_middle)


@dataclass(frozen=True)
class FirstVisits:
    """A first visit of a node in a plan brings 2, another one `again`."""

    again: float = 0.0

    def expected(self, state: PlanState) -> Any:
        first = state.visits == state.view.nodes.visits
        gain = np.where(first, 2.0, self.again)
        return np.repeat(gain[:, :, None], state.view.n_middle, axis=2)


def plan_of(view: ProcessView, gains: GainModel = EVEN) -> Plan:
    return MilpScheduler(load_scenario("default"), gains, ForecastOutlook()).plan(PlanState.of(view))


def advance(process: Any, hops: Sequence[Assignment]) -> list[Any]:
    controller, executor = process
    done = []
    for assignment in hops:
        job = controller.dispatch(assignment)
        done.append(controller.complete(job.id, executor.run(job)))
    return done


def random_hops(process: Any, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(n):
        legal = np.argwhere(process[0].view().legal)
        node, layer = legal[rng.integers(len(legal))]
        advance(process, [Assignment(int(node), int(layer))])


def sequences(
    trained: frozenset[int], nodes: int, middle: int, hops: int
) -> Iterator[tuple[Assignment, ...]]:
    """All that are legal where everybody has memory for everything."""
    if hops == 0:
        yield ()
        return
    for layer in set(range(middle)) - trained:
        then = trained | {layer}
        then = frozenset() if len(then) == middle else then
        for node in range(nodes):
            for rest in sequences(then, nodes, middle, hops - 1):
                yield (Assignment(node, layer), *rest)


@pytest.mark.parametrize("mode", ["p2p", "cs"])
@pytest.mark.parametrize("gains", [WARM, COOL, EVEN], ids=["warm", "cool", "even"])
@pytest.mark.parametrize("seed", range(4))
def test_nearly_as_good_as_the_best_of_all_sequences(
    frozen_process: Any, mode: str, gains: Any, seed: int
) -> None:
    """Two nodes and two layers, to the end of the next cycle.

    Programmes are solved to the end (`test_programme`), but gains depend on all hops before, which they only
    approximate.
    """
    process = frozen_process(2, 2, mode, seed=seed)
    random_hops(process, seed, seed)
    view = process[0].view()
    trained = frozenset(np.flatnonzero(view.layers.trained_in_cycle).tolist())
    every = list(sequences(trained, 2, 2, 4 - len(trained)))
    best = follow(PlanState.of(view), every, gains, ForecastOutlook()).reward.max()
    assert 0.98 * best <= plan_of(view, gains).total <= best + 1e-9


@pytest.mark.parametrize("mode", ["p2p", "cs"])
@pytest.mark.parametrize("before", [0, 3, 8])
def test_replayed_plan_costs_what_it_said(frozen_process: Any, mode: str, before: int) -> None:
    process = frozen_process(6, 5, mode, seed=before)
    random_hops(process, before, before)
    plan = plan_of(process[0].view())
    assert len(plan.costs) == len(plan.assignments) > 2
    for hop, planned in zip(advance(process, plan.assignments), plan.costs, strict=True):
        assert hop.costs.time_s == pytest.approx(planned.time_s, rel=1e-6)
        assert hop.costs.energy_j == pytest.approx(planned.energy_j, rel=1e-6)
        assert hop.costs.n_bytes == pytest.approx(planned.n_bytes, rel=1e-6)


@pytest.mark.parametrize("before", [0, 3, 8])
@pytest.mark.parametrize("k", [2, 3])
def test_companions_are_reckoned_with(frozen_process: Any, before: int, k: int) -> None:
    process = frozen_process(6, 5, "cs", seed=before, parallel=k)
    random_hops(process, before, before)
    plan = plan_of(process[0].view())
    done = advance(process, plan.assignments)
    assert [len(hop.parts) for hop in done] == [k] * len(done)
    first, planned = done[0].costs, plan.costs[0]
    assert first.time_s == pytest.approx(planned.time_s, rel=1e-6)
    assert first.energy_j == pytest.approx(planned.energy_j, rel=1e-6)
    assert first.n_bytes == pytest.approx(planned.n_bytes, rel=1e-6)


def toy(view: ProcessView) -> ProcessView:
    """Three nodes, two layers; a second costs 1, everything else nothing, and a gain of 1 is worth 10.

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
        lacking=np.full((3, 4), 1e3),
        epochs=1,
        evaluation_flops=0.0,
    )


def test_toy_network_with_known_optimum(frozen_process: Any) -> None:
    """Node 2 is by far the fastest, but who begins there cannot leave, and staying brings nothing.

    By hand: nobody leaves node 2, so it comes last. Node 1 (4 s + 5 s), then node 2 (4 s + 1 s) are worth
    2 * 20 - 14 = 26, and node 0 somewhere before it (4 s + 10 s) 20 - 14 = 6 more.
    """
    controller, _ = frozen_process(3, 2)
    view = toy(controller.view())
    plan = plan_of(view, FirstVisits())
    assert plan.assignments[2].node == 2
    assert {a.node: c.time_s for a, c in zip(plan.assignments, plan.costs, strict=True)} == pytest.approx(
        {0: 14.0, 1: 9.0, 2: 5.0}
    )
    assert plan.total == pytest.approx(32.0)
    assert plan.gap == pytest.approx(0.0, abs=1e-6)
    greedy = GreedyScheduler(controller.scenario, FirstVisits(), ForecastOutlook()).schedule(view)
    assert isinstance(greedy, Assignment)
    assert greedy.node == 2


@pytest.mark.parametrize(
    ("gains", "left_s", "nodes"),
    [
        (FirstVisits(), 28.1, [0, 1, 2]),
        (FirstVisits(), 27.9, [1, 2]),
        (FirstVisits(), 13.9, [2]),
        (FirstVisits(2.0), 6.1, [2, 2]),
        (FirstVisits(2.0), 5.9, [2]),
        (FirstVisits(2.0), 4.9, []),
    ],
)
def test_a_plan_ends_in_time(frozen_process: Any, gains: Any, left_s: float, nodes: list[int]) -> None:
    """The toy's best plan takes 28 s; if staying brings as much, staying at node 2 is best and takes 6 s."""
    controller, _ = frozen_process(3, 2)
    view = toy(controller.view())
    view = replace(view, clock_s=view.budget.time_s - left_s)
    plan = plan_of(view, gains)
    assert sorted(a.node for a in plan.assignments) == nodes
    assert sum(c.time_s for c in plan.costs) <= left_s


@pytest.mark.parametrize("scheduler", [MilpScheduler, SequentialMilpScheduler])
@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_plans_respect_legality(scheduler: Any, view: ProcessView, data: st.DataObject) -> None:
    shape = view.legal.shape
    reachable = np.array(data.draw(st.lists(st.booleans(), min_size=shape[0], max_size=shape[0])))
    memory = np.array(data.draw(st.lists(st.integers(0, 5), min_size=shape[0], max_size=shape[0])))
    needed = np.array(data.draw(st.lists(st.integers(1, 5), min_size=shape[1], max_size=shape[1])))
    able = reachable[:, None] & (memory[:, None] >= needed)
    changed = replace(
        view,
        nodes=replace(view.nodes, reachable=reachable, memory_bytes=memory.astype(float)),
        layers=replace(view.layers, memory_bytes=needed.astype(float)),
        legal=able,
    )
    chosen = scheduler(load_scenario("default"), EVEN, ForecastOutlook()).schedule(changed)
    assert isinstance(chosen, Assignment) == able.any()
    plan = plan_of(changed)
    assert all(able[a.node, a.layer] for a in plan.assignments)
    cycle = int(able.any(axis=0).sum())
    if able.any(axis=0).all():
        assert sorted(a.layer for a in plan.assignments[:cycle]) == list(range(shape[1]))
    else:
        assert len({a.layer for a in plan.assignments}) == len(plan.assignments) <= cycle


def test_layers_follow_the_order_of_the_process(frozen_process: Any) -> None:
    controller, _ = frozen_process(3, 4, layer_order="reverse")
    plan = plan_of(controller.view())
    assert [a.layer for a in plan.assignments] == [3, 2, 1, 0, 3, 2, 1, 0][: len(plan.assignments)]
    assert len(plan.assignments) >= 4


def test_sequential_keeps_to_the_order_of_layers(frozen_process: Any) -> None:
    process = frozen_process(3, 4, seed=2)
    scheduler = SequentialMilpScheduler(load_scenario("default"), EVEN, ForecastOutlook())
    layers = []
    for _ in range(6):
        choice = scheduler.schedule(process[0].view())
        layers.append(choice.layer)
        advance(process, [choice])
    assert layers == [0, 1, 2, 3, 0, 1]
    assert {a.layer for a in plan_of(in_order(process[0].view())).assignments[:1]} == {2}


def test_many_nodes_and_layers(frozen_process: Any) -> None:
    process = frozen_process(40, 12, seed=3)
    plan = plan_of(process[0].view())
    assert sorted(a.layer for a in plan.assignments[:12]) == list(range(12))
    assert plan == plan_of(process[0].view())
    for hop, planned in zip(advance(process, plan.assignments), plan.costs, strict=True):
        assert hop.costs.time_s == pytest.approx(planned.time_s, rel=1e-6)


def renumbered(view: ProcessView, order: Any) -> ProcessView:
    """The same process, its nodes counted in another order; the model lies with the PCE."""
    nodes, pairs = (
        replace(part, **{f.name: getattr(part, f.name)[order] for f in fields(part)})
        for part in (view.nodes, view.pairs)
    )
    return replace(view, nodes=nodes, pairs=pairs, legal=view.legal[order], lacking=view.lacking[order])


@pytest.mark.parametrize("seed", range(3))
def test_of_many_nodes_it_makes_no_difference_how_they_are_numbered(frozen_process: Any, seed: int) -> None:
    """There are more nodes than exchanges that could be tried: the first nodes are not tried alone."""
    view = frozen_process(60, 7, mode="cs", seed=seed)[0].view()
    planner = MilpScheduler(load_scenario("default"), Deeper(), ForecastOutlook())
    order = np.arange(view.n_nodes)[::-1]
    plan, other = (planner.plan(PlanState.of(v)) for v in (view, renumbered(view, order)))
    assert other.total == pytest.approx(plan.total)
    assert [Assignment(int(order[h.node]), h.layer) for h in other.assignments] == list(plan.assignments)
