"""Progress through the cycles: which middle layers are trained, and which may be next."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from snakegym.arrays import read_only
from snakegym.control.view import Bools, Floats, Ints
from snakegym.errors import SnakegymError
from snakegym.scenario import LayerOrder, ProcessConfig


@dataclass(frozen=True)
class CycleProgress:
    """How far the layers are. A cycle is over when every middle layer was trained in it.

    Arrays are [n_middle] and read-only: what happens to a layer gives a new object.
    """

    config: ProcessConfig
    """Layer order, and whether layers may be repeated within a cycle."""
    index: int
    """Cycles complete."""
    order: Ints
    """The layers in the order of the present cycle, where the scenario fixes one."""
    trained_in_cycle: Bools
    times_trained: Ints
    last_gain: Floats
    """Of the last hop on the layer; 0 before the first."""

    @classmethod
    def start(cls, n_middle: int, config: ProcessConfig, rng: np.random.Generator) -> CycleProgress:
        """Nothing is trained; `rng` draws the order if that is random."""
        return cls(
            config,
            0,
            _order(n_middle, config.layer_order, rng),
            read_only(np.zeros(n_middle, dtype=np.bool_)),
            read_only(np.zeros(n_middle, dtype=np.int64)),
            read_only(np.zeros(n_middle)),
        )

    def check(self) -> None:
        """Raise SnakegymError if this is no state that a process can be in: for what comes from a file."""
        if not np.array_equal(np.sort(self.order), np.arange(len(self.order))):
            raise SnakegymError(f"checkpoint, field 'order': found {self.order}, expected every layer once")
        if self.trained_in_cycle.all():
            raise SnakegymError(
                "checkpoint, field 'trained_in_cycle': found every layer, expected one that is not"
            )

    def open_layers(self) -> Bools:
        """[n_middle]: layers that may be trained next."""
        untrained = ~self.trained_in_cycle
        if self.config.layer_order == "free":
            return np.ones_like(untrained) if self.config.repeat_layers else untrained
        following = self.order[untrained[self.order]][0]
        open_layers: Bools = np.arange(len(untrained)) == following
        return open_layers

    def trained(self, layer: int, gain: float, rng: np.random.Generator) -> CycleProgress:
        """After a delivered update of that middle layer; `rng` draws the next cycle's order."""
        times, gains = self.times_trained.copy(), self.last_gain.copy()
        times[layer] += 1
        gains[layer] = gain
        done = replace(self, times_trained=read_only(times), last_gain=read_only(gains))
        return done.passed(layer, rng)

    def passed(self, layer: int, rng: np.random.Generator) -> CycleProgress:
        """Going on without that layer in this cycle."""
        trained = self.trained_in_cycle.copy()
        trained[layer] = True
        if not all(trained.tolist()):
            return replace(self, trained_in_cycle=read_only(trained))
        return replace(
            self,
            index=self.index + 1,
            order=_order(len(trained), self.config.layer_order, rng),
            trained_in_cycle=read_only(np.zeros_like(trained)),
        )


def _order(n_middle: int, layer_order: LayerOrder, rng: np.random.Generator) -> Ints:
    order = np.arange(n_middle)
    if layer_order == "reverse":
        order = order[::-1].copy()
    elif layer_order == "random":
        order = rng.permutation(order)
    return read_only(order)
