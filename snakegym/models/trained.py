"""What a hop trains of a model: one rule, for learning, caches, costs and planners alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from snakegym.scenario import Trains


@dataclass(frozen=True)
class TrainedSet:
    """The layers that hops train, and so what changes, travels, and needs gradients.

    Both ends and the middle layer that is assigned (the image task of the Snake Learning paper, DOI
    10.1109/MCOM.005.2400282), the last and the middle layer, or the middle layer alone (its language
    task: embedding and head are frozen).
    """

    n_layers: int
    """Of the whole model, at least 3."""
    trains: Trains = "both-ends"
    tied: bool = False
    """Whether the last layer computes with parameters that lie in the first. They are the first layer's, so
    they are counted once; whoever trains the last layer trains them, and with them the first."""

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """Indices of the layers that every hop trains, in rising order."""
        if self.trains == "middle":
            return ()
        last = self.n_layers - 1
        return (0, last) if self.trains == "both-ends" or self.tied else (last,)

    def of(self, middle: int) -> tuple[int, ...]:
        """Indices of the layers that a hop on this middle layer trains, in rising order."""
        return tuple(sorted((*self.ends, middle + 1)))

    def passing(self, middle: int) -> tuple[int, ...]:
        """Indices of the middle layers that such a hop passes gradients through and does not train."""
        after = range(max(1, min(self.of(middle)) + 1), self.n_layers - 1)
        return tuple(i for i in after if i != middle + 1)
