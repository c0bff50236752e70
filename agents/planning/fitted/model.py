"""A small neural network that says what hops bring, evaluated in numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snakegym.agents.planning.fitted.features import FEATURES, GAINS, features
from snakegym.agents.planning.state import PlanState
from snakegym.control.view import Floats

WIDEST = 3.0
"""Standard deviations from the mean beyond which features count as that far: nothing is known there."""


@dataclass(frozen=True)
class FittedGain:
    """Two hidden layers of tanh over `FEATURES`, and an output for each middle layer.

    What it says stays within what was ever measured, and no hop lifts the accuracy above the ceiling. So a
    plan that follows it hop by hop cannot run away.
    """

    mean: Floats
    """[FEATURES]."""
    scale: Floats
    """[FEATURES]: standard deviations."""
    weights: tuple[Floats, ...]
    """[FEATURES, hidden], [hidden, hidden], [hidden, n_middle]."""
    biases: tuple[Floats, ...]
    """[hidden], [hidden], [n_middle]."""
    lowest: float
    """Gain that is expected at least."""
    highest: float
    ceiling: float
    """Accuracy that no hop lifts the model above."""
    optimism: float = 0.0
    """Taken off what planners are told, >= 0: they take what promises most, and so what promises too much."""

    def expected(self, state: PlanState) -> Floats:
        """[B, N, M]: see `snakegym.agents.planning.gain.GainModel`."""
        return self.of(features(state)) - self.optimism

    def of(self, x: Floats) -> Floats:
        """[..., n_middle]: expected gains, of hops not chosen for that; features [..., FEATURES]."""
        shape = x.shape[:-1]
        h = np.clip((x.reshape(-1, len(FEATURES)) - self.mean) / self.scale, -WIDEST, WIDEST)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            h = np.tanh(h @ weight + bias)
        gain = np.clip(h @ self.weights[-1] + self.biases[-1], self.lowest, self.highest)
        left = np.maximum(0.0, self.ceiling - x[..., GAINS["metric"]])
        found: Floats = np.minimum(gain.reshape(*shape, -1), left[..., None])
        return found
