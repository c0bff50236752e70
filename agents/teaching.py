"""A planner as a teacher: how likely a pupil should be to take each action.

A planner that says what it thinks of every hop teaches more than one that names its choice: hops that are
worth about the same get about the same probability, and the pupil need not learn how ties were broken.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snakegym.agents.improved import IMPROVED
from snakegym.agents.improved.learned import Learned
from snakegym.agents.improved.scheduler import ImprovedScheduler
from snakegym.agents.protocol import Scheduler, let_watch
from snakegym.agents.registry import is_privileged, make_scheduler
from snakegym.control.records import Assignment, Decision
from snakegym.control.view import ProcessView
from snakegym.envs.action import ActionCodec
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.errors import SnakegymError
from snakegym.scenario import Scenario

Label = NDArray[np.float64]


class Teacher:
    """A scheduler that is asked about states that others may have brought about.

    If it has the methods `advise(view)` and `follow(view, decision)` (see `LookaheadScheduler`), its labels
    are soft: a softmax over what hops, and finishing (0), are worth. Waiting is taught where the teacher
    waits, and nowhere else: to wait and then do the same is worth nearly as much in any state.

    Args:
        spec: of the scheduler, as of `make_scheduler`; or IMPROVED.
        scenario: what is to be scheduled.
        codec: of the pupil.
        temperature: of the softmax, in reward units: a hop that is worth that much less is e times less
            likely; 0: only the teacher's choice counts.
        learned: what IMPROVED has learned of the scenario.

    Raises:
        SnakegymError: there is no such scheduler.
    """

    def __init__(
        self,
        spec: str,
        scenario: Scenario,
        codec: ActionCodec,
        temperature: float,
        learned: Learned | None = None,
    ) -> None:
        self.scheduler: Any = _scheduler(spec, scenario, learned)
        self._codec = codec
        self._temperature = temperature if hasattr(self.scheduler, "advise") else 0.0

    def reset(self, seed: int) -> None:
        """See `Scheduler`."""
        self.scheduler.reset(seed)

    def watch(self, env: SerpentineEnv) -> None:
        """Show a privileged scheduler the environment, just reset."""
        let_watch(self.scheduler, env)

    def label(self, view: ProcessView) -> tuple[Label, Decision]:
        """Probability of each action, [n_actions], 0 where illegal; and what the teacher would do."""
        if self._temperature == 0:
            decision: Decision = self.scheduler.schedule(view)
            return self._certain(decision), decision
        worth, decision = self.scheduler.advise(view)
        if not isinstance(decision, Assignment):
            return self._certain(decision), decision
        logits = np.full(self._codec.n_actions, -np.inf)
        for node, layer in np.argwhere(worth > -np.inf).tolist():
            action = self._codec.encode(Assignment(node, layer))
            logits[action] = max(logits[action], worth[node, layer])
        logits[self._codec.finish] = 0.0
        likely = np.exp((logits - logits.max()) / self._temperature)
        return likely / likely.sum(), decision

    def follow(self, view: ProcessView, decision: Decision) -> None:
        """Tell the teacher what was decided instead."""
        if hasattr(self.scheduler, "follow"):
            self.scheduler.follow(view, decision)

    @property
    def learns(self) -> bool:
        """Whether it learns itself from what is done."""
        return isinstance(self.scheduler, ImprovedScheduler)

    def experience(self, view: ProcessView, decision: Decision) -> NDArray[np.float64]:
        """What there is to learn from a decision, once its hop is done; of a teacher that learns."""
        row: NDArray[np.float64] = self.scheduler.experience(view, decision)
        return row

    def _certain(self, decision: Decision) -> Label:
        label = np.zeros(self._codec.n_actions)
        label[self._codec.encode(decision)] = 1.0
        return label


def check_teacher(spec: str, scenario: Scenario, privileged: bool) -> Scheduler:
    """Whether it can teach in a scenario.

    Args:
        spec: of a scheduler.
        scenario: what is to be scheduled.
        privileged: whether one that knows what none can know may teach: its pupil will not know it.

    Raises:
        SnakegymError: there is no such scheduler, it is privileged, or it would have to teach ranks.
    """
    if scenario.learning.offered_ranks:
        raise SnakegymError(
            f"--imitate: found scenario '{scenario.name}' with 'learning.lora.rank: free', of which planners "
            "would teach pairs alone; expected a rank by rule or number, or training without --imitate"
        )
    if is_privileged(spec) and not privileged:
        raise SnakegymError(
            f"--imitate: found '{spec}', which knows what no scheduler can, so that a policy cannot do as it "
            "does; expected a scheduler that decides from what is known (lookahead, milp), or "
            "--imitate-privileged"
        )
    return _scheduler(spec, scenario)


def _scheduler(spec: str, scenario: Scenario, learned: Learned | None = None) -> Scheduler:
    return ImprovedScheduler(scenario, learned) if spec == IMPROVED else make_scheduler(spec, scenario)
