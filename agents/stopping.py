"""Rules that know when to stop: what is left of a planner's advantage is who trains what."""

from __future__ import annotations

from snakegym.agents.planning.calibration import CalibratedGain
from snakegym.agents.planning.endings import Patience, pays_to_go_on
from snakegym.agents.planning.forecasts import load_forecast
from snakegym.agents.planning.gain import GainModel, load_gain
from snakegym.agents.planning.outlook import ForecastOutlook, Outlook
from snakegym.agents.planning.promise import promise
from snakegym.agents.planning.state import PlanState
from snakegym.agents.protocol import Scheduler
from snakegym.control.records import Assignment, Decision
from snakegym.control.view import ProcessView
from snakegym.scenario import Scenario


class StoppingScheduler:
    """A rule chooses; whether to go on, to wait or to finish is decided as `GreedyScheduler` decides it.

    That is by what greed would bring from here on, and the rule brings less: it goes on rather too long. How
    far hops of the rule come true counts.

    Args:
        rule: a scheduler that never finishes by itself.
        scenario: what is to be scheduled.
        gains: default: that of the scenario.
        outlook: default: at rates as they are forecast for the scenario.
    """

    def __init__(
        self,
        rule: Scheduler,
        scenario: Scenario,
        gains: GainModel | None = None,
        outlook: Outlook | None = None,
    ) -> None:
        self._rule = rule
        self._gains = CalibratedGain(gains or load_gain(scenario))
        self._outlook = outlook or ForecastOutlook(load_forecast(scenario))
        self._patience = Patience()

    def reset(self, seed: int) -> None:
        """Forget the last episode."""
        self._rule.reset(seed)
        self._gains.reset()
        self._patience.reset()

    def schedule(self, view: ProcessView) -> Decision:
        """The rule's choice, while greed would go on."""
        self._gains.observe(view)
        state = PlanState.of(view)
        expected = promise(state, self._gains, self._outlook)
        if not pays_to_go_on(state, expected, self._gains, self._outlook):
            return self._patience.wait_or_finish(view, self._gains, self._outlook)
        choice = self._rule.schedule(view)
        if isinstance(choice, Assignment):
            self._gains.promise(view, float(expected.gain[0, choice.node, choice.layer]))
        return choice
