"""Greedy: the next hop that promises most, looking no further."""

from __future__ import annotations

import numpy as np

from snakegym.agents.gain import DEFAULT, GainModel
from snakegym.agents.rules import next_layer
from snakegym.control.forecast import forecast, price
from snakegym.control.records import Assignment
from snakegym.control.view import Floats, ProcessView
from snakegym.scenario import Scenario


class GreedyScheduler:
    """Maximises expected reward: the priced expected gain minus the priced forecast costs.

    A difference and not a ratio of the two, because the scenario's objective is a difference: a
    ratio would favour hops that are nearly free and bring next to nothing. Waits if even the best
    hop is worth less than the time of a wait costs. Layers come from early to deep.
    """

    def __init__(self, scenario: Scenario, gain: GainModel = DEFAULT) -> None:
        self._gain = gain

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def schedule(self, view: ProcessView) -> Assignment | None:
        """The hop with the best expected reward; ties go to the lower node."""
        layer = next_layer(view)
        if layer is None:
            return None
        rewards = np.where(view.legal[:, layer], self._rewards(view, layer), -np.inf)
        node = int(np.argmax(rewards))
        return Assignment(node, layer) if rewards[node] >= waiting_reward(view) else None

    def _rewards(self, view: ProcessView, layer: int) -> Floats:
        """[n_nodes]: expected reward of a hop; -inf where it could not be carried out."""
        hop = forecast(view)
        costs = price(view.objective, hop.time_s, hop.energy_j, hop.n_bytes)[:, layer]
        return view.objective.gain * self._gain.expected(view) - costs


def waiting_reward(view: ProcessView) -> float:
    """Reward of one wait: minus the price of its time."""
    return -view.objective.prices()[0] * view.wait_s
