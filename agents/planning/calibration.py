"""Learning within an episode: expected gains are believed as far as they came true lately."""

from __future__ import annotations

import numpy as np

from snakegym.agents.planning.gain import GainModel
from snakegym.agents.planning.outlook import Outlook
from snakegym.agents.planning.promise import promise
from snakegym.agents.planning.state import PlanState
from snakegym.control.records import Assignment, Decision
from snakegym.control.view import Floats, ProcessView

MEMORY = 0.9
"""Weight of the past in both sums, a hop."""
PRIOR = 0.03
"""Accuracy that counts as expected and come true before the first hop."""

LEAST = 0.005
"""Gain that a hop is taken to be expected to bring at least. What is measured counts from minus that to twice
that: one hop that ruins the model, and the next one that mends it, are no trend."""


class CalibratedGain:
    """A gain model whose positive gains are scaled by what came of those expected before.

    A planner takes the pair that promises most, so it is disappointed on average, and most so near the end,
    where there is little to gain: without this it goes on long after nothing comes of it any more. The scale
    is the sum of measured gains over that of expected ones, both fading with the hops that follow, in [0, 1].

    Args:
        gains: what is to be scaled.
    """

    def __init__(self, gains: GainModel) -> None:
        self._gains = gains
        self.reset()

    def reset(self) -> None:
        """Forget the last episode."""
        self.scale = 1.0
        self._expected = self._measured = PRIOR
        self._promised: tuple[int, float] | None = None

    def expected(self, state: PlanState) -> Floats:
        """[B, N, M]: see `GainModel`."""
        gain = self._gains.expected(state)
        return gain if self.scale == 1.0 else np.where(gain > 0, self.scale * gain, gain)

    def promise(self, view: ProcessView, gain: float) -> None:
        """Remember what is expected, by this model, of the hop that is decided on."""
        self._promised = view.hops, gain / self.scale if self.scale > 0 else gain

    def follow(self, view: ProcessView, decision: Decision, outlook: Outlook) -> None:
        """Remember what is expected of what somebody else decides on."""
        self._promised = None
        if isinstance(decision, Assignment):
            gain = promise(PlanState.of(view), self, outlook).gain
            self.promise(view, float(gain[0, decision.node, decision.layer]))

    def observe(self, view: ProcessView) -> None:
        """Compare what came of it, if the hop was done since."""
        if self._promised is None or view.hops != self._promised[0] + 1 or not view.recent_gains:
            return
        expected = max(LEAST, self._promised[1])
        measured = min(max(view.recent_gains[-1], -expected), 2 * expected)
        self._expected = MEMORY * self._expected + expected
        self._measured = MEMORY * self._measured + measured
        self._promised = None
        self.scale = min(1.0, max(0.0, self._measured / self._expected))
