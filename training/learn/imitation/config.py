"""Options of `snakegym train` about learning from a planner first. Nothing heavy is imported here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

from snakegym.agents.improved import IMPROVED
from snakegym.errors import SnakegymError
from snakegym.training.options import Text

MOST_STATES = 10**7


@dataclass(frozen=True)
class Imitation:
    """How a policy learns from a planner before it learns by itself; only with --imitate.

    Tried on validation episodes of `default`, one seed, before any reinforcement learning. Temperatures 0.05,
    0.02 and 0, 20 episodes: 6.11, 6.21 and 6.15. On 60 others, where the teacher, lookahead, came to 6.58:
    22,571 of its decisions to 6.45, half of them to 6.49, that half and 4,837 of a second round to 6.58:
    not told apart.
    """

    imitate: Text = None
    """Scheduler to learn from first: lookahead teaches what every hop is worth to it, others (milp) what they
    would do; improved is lookahead that learns itself, between rounds, from what hops brought. Then
    reinforcement learning goes on from there."""
    imitate_scenario: Text = None
    """Scenarios to imitate in, parted by commas; default: those of --scenario. More than are trained in
    afterwards cost little here, and leave the policy something to go by there."""
    imitate_states: int = 30_000
    """Decisions to collect, over all scenarios together; rounded up to whole batches of episodes."""
    imitate_rounds: int = 2
    """Rounds in which they are collected. In the first the teacher plays; in each later one the policy that
    was cloned so far, and the teacher says what it would have done."""
    imitate_noise: float = 0.2
    """Probability of a random hop in the first round, in every second episode: what the teacher does after
    mistakes is learned, too."""
    imitate_temperature: float = 0.02
    """Of the teacher's softmax, in reward units: a hop worth that much less is e times less likely. 0: its
    choice alone is taught."""
    imitate_epochs: int = 20
    """Passes over them at most; fewer where episodes kept aside are predicted no better any more."""
    imitate_learning_rate: float = 1e-3
    """Step size at the first pass; falls to 0 over all of them."""
    imitate_privileged: bool = False
    """Allow a teacher that knows what no scheduler can (clairvoyant, oracle-gain)."""
    pull: float = 0.0
    """Weight, at the first step of reinforcement learning, of the divergence from what was cloned; with a
    small learning rate that falls to 0 it was not worth it."""
    pull_share: float = 0.5
    """Share of --timesteps over which that falls to 0."""

    @property
    def improves(self) -> bool:
        """Whether the teacher itself learns between rounds."""
        return self.imitate == IMPROVED

    @property
    def teacher(self) -> str | None:
        """Whom to learn from; None: nobody."""
        return self.imitate

    def validate(self, spell: Callable[[str], str]) -> None:
        """Raise SnakegymError for the first option whose value is impossible."""
        if self.imitate is None:
            self._check_unused(spell)
        if self.improves and self.imitate_rounds < 2:
            raise SnakegymError(
                f"{spell('imitate_rounds')}: found {self.imitate_rounds}, expected 2 or more with "
                f"{spell('imitate')} {IMPROVED}, which learns in the first what it does better in the others"
            )
        for name, least, most in (
            ("imitate_states", 1, MOST_STATES),
            ("imitate_rounds", 1, 100),
            ("imitate_noise", 0, 1),
            ("imitate_temperature", 0, 1000),
            ("imitate_epochs", 1, 10_000),
            ("imitate_learning_rate", 1e-9, 1),
            ("pull", 0, 1000),
            ("pull_share", 0, 1),
        ):
            value = getattr(self, name)
            if not math.isfinite(value) or not least <= value <= most:
                raise SnakegymError(
                    f"{spell(name)}: found {value}, expected a number from {least:g} to {most:,}"
                )

    def _check_unused(self, spell: Callable[[str], str]) -> None:
        for field in fields(self):
            if getattr(self, field.name) != field.default:
                raise SnakegymError(
                    f"{spell(field.name)}: of no use without {spell('imitate')}, the scheduler to learn from"
                )
