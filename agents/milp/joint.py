"""Planning who trains which layer when, all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from snakegym.agents.milp.assignment import solve_assignment
from snakegym.agents.milp.exact import solve_exactly
from snakegym.agents.milp.exchange import neighbours
from snakegym.agents.milp.lagrangian import solve_lagrangian
from snakegym.agents.milp.linearise import linearise
from snakegym.agents.milp.plan import Plan
from snakegym.agents.milp.programme import Programme, Solution
from snakegym.agents.planning.calibration import CalibratedGain
from snakegym.agents.planning.endings import Patience
from snakegym.agents.planning.forecasts import load_forecast
from snakegym.agents.planning.gain import GainModel, load_gain
from snakegym.agents.planning.greedy import GreedyScheduler
from snakegym.agents.planning.outlook import ForecastOutlook, Outlook
from snakegym.agents.planning.state import PlanState
from snakegym.agents.planning.walk import Walk, follow, walk_on
from snakegym.agents.rules import next_layer
from snakegym.control.records import Assignment, Decision
from snakegym.control.view import ProcessView
from snakegym.scenario import LayerOrder, Scenario

MAX_POSITIONS = 16
"""A programme looks this many hops ahead at most."""
MAX_WALK = 60
"""Hops that are walked to see what time is worth in the end, with few nodes and layers."""
LAST_HOPS = 6
"""Of these, the last ones, whose reward it is."""
MAX_TRIED = 80
"""Exchanges that are tried in a round, likewise; none where there are more nodes than could be tried, as it
would always be the same few. In `large` that cost 0.48 a process (8 validation episodes); with 9 to 32 nodes,
where all can be tried, exchanges are worth 0.05 to 0.54 (6 each)."""
MAX_PAIRS = 12_000
"""Pairs of node and layer that are looked at for either."""
ROUNDS = 2
"""Programmes solved for one plan, each around the best plan so far."""
EXCHANGES = 3
"""Rounds of exchanges at most."""
SMALL = 400
"""Pairs and arcs up to which HiGHS closes a gap that Lagrangian prices leave."""


class MilpScheduler:
    """Plans to the end of the next cycle at every decision, and takes the plan's first hop.

    Who trains which layer at which position is one programme (`programme`), with gains and costs around a
    reference plan (`linearise`): the path of the model, what each node lacks, memory, batteries, remaining
    time and energy, and that a further visit of a node brings less. It is solved as what it is: an assignment
    in client-server mode, a path with prices in P2P mode, by HiGHS where that leaves a gap and it is small.
    The solutions, and what greed would do, are then followed hop by hop in the same model of gains and costs,
    and the best is taken, stopped where it is worth most.

    While time will run out before hops cease to be worth their price, a second costs what it will bring in
    the end. A plan of no hops means to wait or to finish (`snakegym.agents.planning.endings`).

    Args:
        scenario: what is to be scheduled.
        gains: default: that of the scenario.
        outlook: default: forecasts.
    """

    def __init__(
        self, scenario: Scenario, gains: GainModel | None = None, outlook: Outlook | None = None
    ) -> None:
        self._gains = CalibratedGain(gains or load_gain(scenario))
        self._outlook = outlook or ForecastOutlook(load_forecast(scenario))
        self._patience = Patience()

    def reset(self, seed: int) -> None:
        """Forget how gains came true and how long it waited; nothing is random."""
        self._gains.reset()
        self._patience.reset()

    def schedule(self, view: ProcessView) -> Decision:
        """The first hop of the best plan."""
        self._gains.observe(view)
        walk = self.best(PlanState.of(view))
        if walk.hops:
            self._gains.promise(view, walk.gains[0])
            return walk.hops[0]
        return self.wait_or_finish(view)

    def wait_or_finish(self, view: ProcessView) -> Decision:
        """What to do where no plan can be carried out, or none is worth while."""
        return self._patience.wait_or_finish(view, self._gains, self._outlook)

    def follow(self, view: ProcessView, decision: Decision) -> None:
        """Another decided: expect of that hop what the plan would have."""
        self._gains.follow(view, decision, self._outlook)

    def plan(self, state: PlanState) -> Plan:
        """The best plan from a state (B = 1); empty if nothing is possible, or worth while."""
        done, gap = self._search(state)
        return Plan(tuple(done.hops), tuple(done.costs), sum(done.rewards), gap)

    def best(self, state: PlanState) -> Walk:
        """The same, with the state before and after each hop."""
        return self._search(state)[0]

    def _search(self, state: PlanState) -> tuple[Walk, float]:
        """The best plan, and the gap of its last programme."""
        n_positions = _horizon(state)
        best = self._walk(state, (), n_positions, _affordable(state, MAX_WALK, n_positions))
        if not best.hops:
            return best, 0.0
        left_s = state.view.budget.time_s - float(state.clock_s[0])
        second = value_of_a_second(best, n_positions, left_s)
        if second > 0:
            patient = self._walk(state, (), n_positions, n_positions, second)
            best = max(best.until(n_positions), patient, key=lambda walk: walk.value(second))
        gap = 0.0
        for _ in range(ROUNDS):
            states = best.states[: min(n_positions, len(best.hops))]
            solution = solve(linearise(states, self._gains, self._outlook, second))
            pairs = zip(solution.nodes.tolist(), solution.layers.tolist(), strict=True)
            found = tuple(Assignment(*pair) for pair in pairs)
            gap, walk = solution.gap, self._walk(state, found, n_positions, n_positions, second)
            if walk.value(second) <= best.value(second):
                break
            best = walk
        best = self._exchanged(state, best.until(n_positions), second)
        return best.until(best.stop(second) or best.stop(0.0)), gap

    def _exchanged(self, state: PlanState, best: Walk, second: float) -> Walk:
        """The walk, improved by exchanges while that helps; greed goes on after them."""
        nodes, n_positions = np.flatnonzero(state.legal[0].any(axis=1)).tolist(), len(best.hops)
        most = _affordable(state, MAX_TRIED, 0)
        for _ in range(EXCHANGES if most >= state.view.n_nodes else 0):
            plans = neighbours(tuple(best.hops), nodes, most)
            if not plans:
                break
            total = follow(state, plans, self._gains, self._outlook).worth(second)
            plan, stop = divmod(int(total.argmax()), total.shape[1])
            if total[plan, stop] <= best.value(second):
                break
            best = self._walk(state, plans[plan][:stop], n_positions, n_positions, second)
        return best

    def _walk(
        self, state: PlanState, hops: Sequence[Assignment], at_least: int, at_most: int, second: float = 0.0
    ) -> Walk:
        gains, outlook = self._gains, self._outlook
        return walk_on(state, gains, outlook, hops=hops, at_least=at_least, at_most=at_most, second=second)


class SequentialMilpScheduler:
    """As `MilpScheduler`, but layers come from early to deep: only who trains each is planned.

    That is the order of the paper, and what it loses is what joint assignment is worth. Where no plan in
    order is worth its price, the best other hop is taken, if that is worth its own. Arguments as there.
    """

    def __init__(
        self, scenario: Scenario, gains: GainModel | None = None, outlook: Outlook | None = None
    ) -> None:
        self._planner = MilpScheduler(scenario, gains, outlook)
        self._greedy = GreedyScheduler(scenario, gains, outlook)

    def reset(self, seed: int) -> None:
        """See `MilpScheduler`."""
        self._planner.reset(seed)
        self._greedy.reset(seed)

    def schedule(self, view: ProcessView) -> Decision:
        """The first hop of the best plan in order."""
        decision = self._planner.schedule(in_order(view))
        return decision if isinstance(decision, Assignment) else self._greedy.schedule(view)


def in_order(view: ProcessView) -> ProcessView:
    """The view, as if the process had a fixed order: the next layer with a legal node alone is open."""
    layer = next_layer(view)
    order: LayerOrder = "serpentine" if view.layer_order == "free" else view.layer_order
    its_turn = np.arange(view.n_middle) == (-1 if layer is None else layer)
    return replace(view.narrowed(its_turn), layer_order=order)


def solve(programme: Programme) -> Solution:
    """By the method that fits."""
    if programme.handing is None:
        return solve_assignment(programme)
    solution = solve_lagrangian(programme)
    if solution.gap > 0 and programme.value.size + programme.handing.size <= SMALL:
        exact = solve_exactly(programme)
        return exact if exact.total >= solution.total else solution
    return solution


def value_of_a_second(walk: Walk, n_positions: int, left_s: float) -> float:
    """What a second will bring in the end, beyond its price, if greed goes on after so many positions.

    0 where hops cease to be worth their price before time has run out, or where it has within the positions.
    """
    rewards, time_s = np.array(walk.rewards), np.array([c.time_s for c in walk.costs])
    if len(rewards) <= n_positions or time_s.sum() + time_s[-1] < left_s:
        return 0.0
    last = slice(max(n_positions, len(rewards) - LAST_HOPS), None)
    return max(0.0, float(rewards[last].sum() / max(time_s[last].sum(), 1e-9)))


def _horizon(state: PlanState) -> int:
    """Positions up to the end of the next cycle."""
    view = state.view
    able = view.nodes.reachable[:, None] & view.fits
    rest = int((able.any(axis=0) & ~state.trained_in_cycle[0]).sum())
    return min(MAX_POSITIONS, rest + view.n_middle)


def _affordable(state: PlanState, most: int, least: int) -> int:
    """How many times all pairs may be looked at."""
    return max(least, min(most, MAX_PAIRS // (state.view.n_nodes * state.view.n_middle)))
