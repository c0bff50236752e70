"""What real hops taught a planner, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snakegym.agents.planning.fitted.features import features
from snakegym.agents.planning.fitted.model import WIDEST, FittedGain
from snakegym.agents.planning.gain import GainModel
from snakegym.agents.planning.state import PlanState
from snakegym.control.view import Floats


@dataclass(frozen=True)
class Value:
    """What the rest of a process is worth, in reward units: two hidden layers of tanh over `TRAITS`."""

    mean: Floats
    """[TRAITS]."""
    scale: Floats
    """[TRAITS]: standard deviations."""
    weights: tuple[Floats, ...]
    """[TRAITS, hidden], [hidden, hidden], [hidden, 1]."""
    biases: tuple[Floats, ...]

    def of(self, traits: Floats) -> Floats:
        """[B]: expected sum of the rewards to come, if all goes on as recorded; traits [B, TRAITS]."""
        h = np.clip((traits - self.mean) / self.scale, -WIDEST, WIDEST)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            h = np.tanh(h @ weight + bias)
        found: Floats = (h @ self.weights[-1] + self.biases[-1])[:, 0]
        return found


@dataclass(frozen=True)
class Opinions:
    """The mean of what several models of gains expect: each errs where the others may not."""

    models: tuple[FittedGain, ...]

    def expected(self, state: PlanState) -> Floats:
        """[B, N, M]: see `GainModel`."""
        return self.of(features(state))

    def of(self, x: Floats) -> Floats:
        """[..., n_middle]: of hops with these features [..., FEATURES]."""
        found: Floats = np.mean([model.of(x) - model.optimism for model in self.models], axis=0)
        return found


@dataclass(frozen=True)
class Learned:
    """Of one scenario."""

    gains: GainModel
    """What hops bring."""
    value: Value
    surprises: Floats
    """[S, 2] of real hops: gain measured minus expected, time measured over expected."""
