"""How much accuracy a hop is expected to bring, from what a plan's state holds."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from snakegym.agents.planning.fitted.files import fitted_to
from snakegym.agents.planning.state import PlanState
from snakegym.control.view import Floats
from snakegym.errors import SnakegymWarning
from snakegym.scenario import Scenario


class GainModel(Protocol):
    """Says what every next hop of every plan would bring, legal or not."""

    def expected(self, state: PlanState) -> Floats:
        """[B, N, M]: expected gain in validation accuracy of each pair as the next hop of each plan.

        May be negative. Rolled forward, gains add up to accuracies in [0, 1].
        """
        ...


@dataclass(frozen=True)
class FormulaGain:
    """A general formula, for a scenario without a fitted model: it knows nodes; all layers are alike.

    There is less to gain as accuracy grows; more samples bring more; a node whose labels are those just
    trained brings nothing; one whose labels are far from them makes a good model forget; and a node that did
    well (or badly) last time tends to do so again. With m the present accuracy, d the node's divergence and n
    its samples in units of the mean:

    gain = rate * max(0, ceiling - m) * n**size * (1 - exp(-d / saturation))
           - forgetting * d * m**2 + memory * last gain of the node
    """

    ceiling: float = 0.95
    rate: float = 0.19
    size: float = 0.5
    saturation: float = 0.1
    forgetting: float = 0.03
    memory: float = 0.12

    def expected(self, state: PlanState) -> Floats:
        """[B, N, M]: see `GainModel`."""
        metric, divergence = state.metric[:, None], state.divergence
        samples = state.view.nodes.samples
        size = (samples / samples.mean()) ** self.size
        left = np.maximum(0.0, self.ceiling - metric)
        novelty = 1 - np.exp(-divergence / self.saturation)
        gain = self.rate * left * size * novelty - self.forgetting * divergence * metric**2
        gain += self.memory * state.node_gain
        return np.repeat(gain[:, :, None], state.view.n_middle, axis=2)


def load_gain(scenario: Scenario) -> GainModel:
    """The gain model of a scenario: as fitted to it (`snakegym fit`), else the general formula and a warning.

    Raises SnakegymError if the file that the scenario names is not there or damaged.
    """
    found = fitted_to(scenario)
    if found is not None:
        return found.gain.model()
    warnings.warn(
        f"scenario '{scenario.name}': no model of gains was fitted to it, planners go by a general formula "
        "(snakegym fit)",
        SnakegymWarning,
        stacklevel=2,
    )
    return FormulaGain()
