"""Static: the whole process planned once, when it begins, and then followed."""

from __future__ import annotations

import numpy as np

from snakegym.agents.milp.joint import MilpScheduler
from snakegym.agents.planning.gain import GainModel
from snakegym.agents.planning.outlook import Outlook
from snakegym.agents.planning.state import PlanState
from snakegym.agents.planning.walk import Walk
from snakegym.control.forecast import forecast
from snakegym.control.records import FINISH, Assignment, Decision
from snakegym.control.view import ProcessView
from snakegym.scenario import Scenario

MAX_HOPS = 200
"""Of a plan."""
PATIENCE = 6
"""Waits in a row for a planned node."""


class StaticScheduler:
    """Plans as `MilpScheduler` does, cycle after cycle, up to the end of the process, at its first decision.

    Then it follows the plan, whatever happens, and finishes after its last hop: what it loses against
    `milp` is what planning anew is worth. Where the next planned pair is not legal, the first of the others
    planned for the same cycle that is goes before it; where none is, it waits, at most six times in a row.
    After that the legal node whose hop is forecast to be shortest takes the layer over. While nothing at all
    is legal it waits, or finishes, as `milp` does. A hop that trained nothing is tried again.

    Args:
        scenario: what is to be scheduled.
        gains: default: that of the scenario.
        outlook: default: forecasts.
    """

    def __init__(
        self, scenario: Scenario, gains: GainModel | None = None, outlook: Outlook | None = None
    ) -> None:
        self._planner = MilpScheduler(scenario, gains, outlook)
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Forget the plan."""
        self._plan: list[Assignment] | None = None
        self._under_way: tuple[Assignment, int] | None = None
        self._waits = 0

    def schedule(self, view: ProcessView) -> Decision:
        """The next hop of the plan."""
        if self._plan is None:
            self._plan = self.plan(view)
        self._strike_off(view)
        if not self._plan:
            return FINISH
        planned = self._next(view)
        chosen = planned if planned is not None else self._instead(view)
        if chosen is None:
            self._waits += 1
            return None if view.legal.any() else self._planner.wait_or_finish(view)
        self._waits = 0
        done = planned if planned is not None else self._first_of(chosen.layer)
        self._under_way = done, int(view.layers.times_trained[chosen.layer])
        return chosen

    def plan(self, view: ProcessView) -> list[Assignment]:
        """The hops of the whole process, as far as it is worth its price."""
        state, plan = PlanState.of(view), list[Assignment]()
        while len(plan) < MAX_HOPS:
            walk = self._planner.best(state)
            hops = _this_cycle(walk)
            if not hops:
                break
            plan += walk.hops[:hops]
            state = walk.states[hops]
        return plan

    def _strike_off(self, view: ProcessView) -> None:
        """The planned hop that was under way, if its layer was trained."""
        if self._under_way is None or self._plan is None:
            return
        hop, before = self._under_way
        if view.layers.times_trained[hop.layer] > before:
            self._plan.remove(hop)
        self._under_way = None

    def _next(self, view: ProcessView) -> Assignment | None:
        """The first legal one of those planned for the present cycle."""
        seen: set[int] = set()
        for hop in self._plan or ():
            if hop.layer in seen:
                return None
            if view.allows(hop.node, hop.layer, hop.rank):
                return hop
            seen.add(hop.layer)
        return None

    def _instead(self, view: ProcessView) -> Assignment | None:
        """After long waiting the shortest legal hop, on the layer that is due if there is one."""
        if self._waits < PATIENCE or not view.legal.any():
            return None
        legal, due = view.legal.copy(), self._plan[0].layer if self._plan else 0
        if legal[:, due].any():
            legal[:, np.arange(view.n_middle) != due] = False
        time_s = np.where(legal, forecast(view).time_s, np.inf)
        return Assignment(*divmod(int(time_s.argmin()), view.n_middle))

    def _first_of(self, layer: int) -> Assignment:
        """The planned hop that another one on the layer stands for."""
        plan = self._plan or []
        return next((hop for hop in plan if hop.layer == layer), plan[0])


def _this_cycle(walk: Walk) -> int:
    """Hops of a walk up to the end of the cycle in which it begins."""
    cycles = [int(state.cycle[0]) for state in walk.states]
    return sum(cycle == cycles[0] for cycle in cycles[:-1])
