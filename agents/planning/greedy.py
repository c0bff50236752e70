"""Greedy: the next hop that promises most, looking no further but before it ends."""

from __future__ import annotations

from snakegym.agents.planning.calibration import CalibratedGain
from snakegym.agents.planning.endings import Patience, pays_to_go_on
from snakegym.agents.planning.forecasts import load_forecast
from snakegym.agents.planning.gain import GainModel, load_gain
from snakegym.agents.planning.outlook import ForecastOutlook, Outlook
from snakegym.agents.planning.promise import promise
from snakegym.agents.planning.state import PlanState
from snakegym.control.records import Decision
from snakegym.control.view import ProcessView
from snakegym.scenario import Scenario


class GreedyScheduler:
    """Maximises expected reward over all legal pairs: the priced expected gain minus the priced costs.

    Where ranks are chosen, over these, too.
    A difference and not a ratio of the two, because the scenario's objective is a difference: a
    ratio would favour hops that are nearly free and bring next to nothing. Where no hop is worth its price by
    itself it goes on as long as some of those that would follow make up for it, see `endings`.

    Args:
        scenario: what is to be scheduled.
        gains: default: that of the scenario.
        outlook: default: at rates as they are forecast for the scenario.
    """

    def __init__(
        self, scenario: Scenario, gains: GainModel | None = None, outlook: Outlook | None = None
    ) -> None:
        self._gains = CalibratedGain(gains or load_gain(scenario))
        self._outlook = outlook or ForecastOutlook(load_forecast(scenario))
        self._patience = Patience()

    def reset(self, seed: int) -> None:
        """Forget how gains came true, and how long it waited."""
        self._gains.reset()
        self._patience.reset()

    def schedule(self, view: ProcessView) -> Decision:
        """The hop with the best expected reward; ties go to the lower node, then the lower layer."""
        self._gains.observe(view)
        state = PlanState.of(view)
        expected = promise(state, self._gains, self._outlook)
        node, layer = divmod(int(expected.reward[0].argmax()), view.n_middle)
        if pays_to_go_on(state, expected, self._gains, self._outlook):
            self._gains.promise(view, float(expected.gain[0, node, layer]))
            return expected.hop(node, layer)
        return self._patience.wait_or_finish(view, self._gains, self._outlook)

    def follow(self, view: ProcessView, decision: Decision) -> None:
        """Another decided: expect of that hop what the plan would have."""
        self._gains.follow(view, decision, self._outlook)
