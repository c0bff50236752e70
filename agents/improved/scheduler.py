"""Lookahead, improved: hops that promise most are rolled out on what real ones taught."""

from __future__ import annotations

import numpy as np

from snakegym.agents.improved.experience import before
from snakegym.agents.improved.learned import Learned
from snakegym.agents.improved.rollouts import ROLLOUTS, Rollouts, most_rewarding, rolled_out
from snakegym.agents.planning.calibration import CalibratedGain
from snakegym.agents.planning.endings import Patience
from snakegym.agents.planning.forecasts import load_forecast
from snakegym.agents.planning.gain import load_gain
from snakegym.agents.planning.lookahead import FOLLOWING, SETTINGS
from snakegym.agents.planning.outlook import ForecastOutlook, Outlook
from snakegym.agents.planning.promise import promise
from snakegym.agents.planning.search import Settings, values
from snakegym.agents.planning.state import PlanState
from snakegym.control.records import Assignment, Decision
from snakegym.control.view import Floats, ProcessView
from snakegym.scenario import Scenario


class ImprovedScheduler:
    """Takes the hop that comes to most when those that promise most are rolled out.

    One step of policy improvement over the planner, with a learned value for what comes after the rollouts
    (as in Bertsekas, "Rollout, Policy Iteration, and Distributed Reinforcement Learning", 2020). With nothing
    learned yet it is `lookahead`.

    Args:
        scenario: what is to be scheduled.
        learned: of that scenario; None: nothing yet.
        outlook: default: at rates as they are forecast for the scenario.
        settings: how hard the planner searches while nothing is learned.
        rollouts: how much is rolled out.
    """

    def __init__(
        self,
        scenario: Scenario,
        learned: Learned | None = None,
        outlook: Outlook | None = None,
        settings: Settings = SETTINGS,
        rollouts: Rollouts = ROLLOUTS,
    ) -> None:
        self._learned = learned
        self._gains = CalibratedGain(load_gain(scenario) if learned is None else learned.gains)
        self._outlook = outlook or ForecastOutlook(load_forecast(scenario))
        self._settings, self._rollouts = settings, rollouts
        self._patience = Patience()
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Forget how gains came true and how long it waited, and seed the futures."""
        self._gains.reset()
        self._patience.reset()
        self._rng = np.random.default_rng(seed)

    def schedule(self, view: ProcessView) -> Decision:
        """The best hop, or to wait or to finish where none is worth its price."""
        _, decision = self.advise(view)
        self.follow(view, decision)
        return decision

    def advise(self, view: ProcessView) -> tuple[Floats, Decision]:
        """What next hops come to, and what to do; as `LookaheadScheduler.advise`."""
        self._gains.observe(view)
        state = PlanState.of(view)
        if self._learned is None:
            worth = values(state, self._gains, self._outlook, self._settings, FOLLOWING)
        else:
            worth = np.full(view.legal.shape, -np.inf)
            expected = promise(state, self._gains, self._outlook)
            candidates = most_rewarding(expected, self._rollouts.candidates)
            if len(candidates):
                worth[tuple(candidates.T)] = rolled_out(
                    state, candidates, self._learned, self._gains, self._outlook, self._rollouts, self._rng
                )
        best = int(worth.argmax())
        if worth.flat[best] > 0:
            return worth, Assignment(*divmod(best, view.n_middle))
        return worth, self._patience.wait_or_finish(view, self._gains, self._outlook)

    def follow(self, view: ProcessView, decision: Decision) -> None:
        """This was decided, here or by another."""
        self._gains.follow(view, decision, self._outlook)

    def experience(self, view: ProcessView, decision: Decision) -> Floats:
        """What there is to learn from a decision, before its hop is done; see `experience.before`."""
        return before(view, decision, self._gains, self._outlook)
