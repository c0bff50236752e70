"""The yardstick of foresight: the same search as lookahead's, with the network's true future."""

from __future__ import annotations

from dataclasses import replace

from snakegym.agents.planning.calibration import CalibratedGain
from snakegym.agents.planning.endings import in_reach
from snakegym.agents.planning.gain import GainModel, load_gain
from snakegym.agents.planning.offers import PlannedHop
from snakegym.agents.planning.search import Plan, Settings, search
from snakegym.agents.planning.state import PlanState
from snakegym.agents.yardsticks.truth import TrueOutlook, unwatched
from snakegym.control.records import FINISH, Decision
from snakegym.control.view import ProcessView
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.scenario import Scenario

SETTINGS = Settings(width=64, horizon=200, waits=(0, 1, 3))
MAX_PAIRS = 6000
"""Pairs of node and layer that are looked at in a step of the search: with many of them it is narrower."""
MIN_WIDTH = 8
FOLLOWED = 3
"""Hops of a plan that are carried out before the next search: rates come true exactly, gains do not."""


class ClairvoyantScheduler:
    """Knows every rate until the end of the process, though not what hops bring. No scheduler can.

    Whoever plays it has to call `watch` after the environment's reset.

    Args:
        scenario: what is to be scheduled.
        gains: default: that of the scenario.
        settings: how hard to search at most.
    """

    def __init__(
        self, scenario: Scenario, gains: GainModel | None = None, settings: Settings = SETTINGS
    ) -> None:
        self._gains = CalibratedGain(gains or load_gain(scenario))
        self._settings = settings
        self._outlook: TrueOutlook | None = None
        self._coming: list[PlannedHop] = []
        self._due = 0

    def reset(self, seed: int) -> None:
        """Forget the network of the last episode, and how gains came true."""
        self._gains.reset()
        self._outlook = None
        self._coming = []

    def watch(self, env: SerpentineEnv) -> None:
        """Look into the environment whose process, just begun, is to be scheduled."""
        self._outlook = TrueOutlook(env.executor.network)

    def schedule(self, view: ProcessView) -> Decision:
        """The next hop of the plan, or a wait that comes before it."""
        self._gains.observe(view)
        if not self._coming or self._due != view.hops:
            self._coming, self._due = list(self.plan(view).hops[:FOLLOWED]), view.hops
        if not self._coming:
            return FINISH
        first = self._coming[0]
        pair = first.assignment
        if first.waits:
            self._coming[0] = replace(first, waits=first.waits - 1)
            return None
        if not view.allows(pair.node, pair.layer, pair.rank):
            self._coming = []
            return None
        del self._coming[0]
        self._due += 1
        self._gains.promise(view, first.gain)
        if view.parallel == 1 or self._outlook is None:
            return pair
        state = PlanState.of(view.at_rank(pair.rank))
        others = self._outlook.companions(state, pair.node, pair.layer)
        return replace(pair, companions=others)

    def plan(self, view: ProcessView) -> Plan:
        """The best plan that is found.

        Raises:
            SnakegymError: there is no environment to look into.
        """
        if self._outlook is None:
            raise unwatched("clairvoyant", "knows the future of a simulated network")
        affordable = max(MIN_WIDTH, MAX_PAIRS // (view.n_nodes * view.n_middle))
        settings = replace(self._settings, width=min(self._settings.width, affordable))
        # All members of the pool count as in reach: the true outlook knows when they are.
        state = PlanState.of(in_reach(view, view.nodes.in_pool))
        return search(state, self._gains, self._outlook, settings)
