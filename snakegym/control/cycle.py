"""Progress through the cycles: which middle layers are trained, and which may be next."""

from __future__ import annotations

import numpy as np

from snakegym.control.checkpoint import Plain, keep, put_back
from snakegym.control.view import Bools
from snakegym.scenario import ProcessConfig

_CHANGING = ("index", "times_trained", "trained_in_cycle", "last_gain", "_order")


class CycleProgress:
    """A cycle is over when every middle layer was trained in it.

    Args:
        n_middle: number of middle layers.
        config: layer order, and whether layers may be repeated within a cycle.
        rng: draws the orders if they are random.
    """

    def __init__(self, n_middle: int, config: ProcessConfig, rng: np.random.Generator) -> None:
        self.index = 0
        self.times_trained = np.zeros(n_middle, dtype=np.int64)
        self.trained_in_cycle = np.zeros(n_middle, dtype=np.bool_)
        self.last_gain = np.zeros(n_middle)
        self._config = config
        self._rng = rng
        self._order = self._draw_order()

    def open_layers(self) -> Bools:
        """[n_middle]: layers that may be trained next."""
        untrained = ~self.trained_in_cycle
        if self._config.layer_order == "free":
            return np.ones_like(untrained) if self._config.repeat_layers else untrained
        following = self._order[untrained[self._order]][0]
        open_layers: Bools = np.arange(len(untrained)) == following
        return open_layers

    def trained(self, layer: int, gain: float) -> None:
        """Book a delivered update of that middle layer."""
        self.times_trained[layer] += 1
        self.last_gain[layer] = gain
        self.passed(layer)

    def passed(self, layer: int) -> None:
        """Go on without that layer in this cycle."""
        self.trained_in_cycle[layer] = True
        if all(self.trained_in_cycle.tolist()):
            self.index += 1
            self.trained_in_cycle[:] = False
            self._order = self._draw_order()

    def reopen(self, layer: int) -> None:
        """The layer's update of this cycle is lost: it may be trained again."""
        self.trained_in_cycle[layer] = False

    def checkpoint(self) -> Plain:
        """All that changes, as plain data."""
        return keep(self, _CHANGING)

    def go_on_from(self, kept: Plain) -> None:
        """Take up what `checkpoint` gave."""
        put_back(self, _CHANGING, kept)

    def _draw_order(self) -> np.ndarray:
        ascending = np.arange(len(self.times_trained))
        if self._config.layer_order == "reverse":
            return ascending[::-1].copy()
        if self._config.layer_order == "random":
            return self._rng.permutation(ascending)
        return ascending
