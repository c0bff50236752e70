"""Looking ahead: the first hop of the best plan that beam search finds."""

from __future__ import annotations

from snakegym.agents.planning.calibration import CalibratedGain
from snakegym.agents.planning.endings import Patience
from snakegym.agents.planning.forecasts import load_forecast
from snakegym.agents.planning.gain import GainModel, load_gain
from snakegym.agents.planning.outlook import ForecastOutlook, Outlook
from snakegym.agents.planning.promise import promise
from snakegym.agents.planning.search import Plan, Settings, search, values
from snakegym.agents.planning.state import PlanState
from snakegym.control.records import Decision
from snakegym.control.view import Floats, ProcessView
from snakegym.scenario import Scenario

SETTINGS = Settings(width=8, horizon=8)
"""Chosen on 12 validation episodes each of default, flaky, crowd and the three measured networks. Twice as
wide and far takes twice the time and earned 0.05 more a scenario, 95 % interval -0.02 to 0.12 (default +0.14,
crowd +0.19, vehicular-5g -0.13): a wider search finds plans that promise more, and hardly bring more.
"""
FOLLOWING = 2
"""Plans followed for each first hop, where all of these are to be valued."""


class LookaheadScheduler:
    """Plans some hops ahead at every decision, over the end of the cycle too, and takes the first one.

    Where no plan is worth its price, see `endings`.

    Args:
        scenario: what is to be scheduled.
        gains: default: that of the scenario.
        outlook: default: at rates as they are forecast for the scenario.
        settings: how hard to search.
    """

    def __init__(
        self,
        scenario: Scenario,
        gains: GainModel | None = None,
        outlook: Outlook | None = None,
        settings: Settings = SETTINGS,
    ) -> None:
        self._gains = CalibratedGain(gains or load_gain(scenario))
        self._outlook = outlook or ForecastOutlook(load_forecast(scenario))
        self._patience = Patience()
        self._settings = settings

    def reset(self, seed: int) -> None:
        """Forget how gains came true, and how long it waited."""
        self._gains.reset()
        self._patience.reset()

    def schedule(self, view: ProcessView) -> Decision:
        """The first hop of the best plan."""
        self._gains.observe(view)
        plan = self.plan(view)
        if plan.hops:
            self._gains.promise(view, plan.hops[0].gain)
            return plan.hops[0].assignment
        return self._patience.wait_or_finish(view, self._gains, self._outlook)

    def advise(self, view: ProcessView) -> tuple[Floats, Decision]:
        """What every next hop is worth with the best plan after it, and what to do; see `agents.teaching`.

        Returns:
            [n_nodes, n_middle] in reward units, -inf where not looked at, the plan that ends at once being
            worth 0; and the most valuable first hop, or to wait or to finish where none is worth its price.
        """
        self._gains.observe(view)
        state = PlanState.of(view)
        worth = values(state, self._gains, self._outlook, self._settings, FOLLOWING)
        best = int(worth.argmax())
        if worth.flat[best] > 0:
            node, layer = divmod(best, view.n_middle)
            return worth, promise(state, self._gains, self._outlook).hop(node, layer)
        return worth, self._patience.wait_or_finish(view, self._gains, self._outlook)

    def follow(self, view: ProcessView, decision: Decision) -> None:
        """Another decided: expect of that hop what the plan would have."""
        self._gains.follow(view, decision, self._outlook)

    def plan(self, view: ProcessView) -> Plan:
        """The best plan that is found."""
        return search(PlanState.of(view), self._gains, self._outlook, self._settings)
