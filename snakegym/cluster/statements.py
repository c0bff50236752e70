"""What a node says: of itself, of its present state, and of a hop."""

from __future__ import annotations

from dataclasses import dataclass

from snakegym.errors import SnakegymError

LEAST_SHARE = 0.02
"""A node that answers computes, however busy it is."""


@dataclass(frozen=True)
class Means:
    """What a node is: the part that does not change."""

    name: str
    memory_bytes: float
    peak_flops: float
    """FLOP/s in training when all of the node is free, as measured at its start."""
    compute_power_w: float = 10.0
    radio_power_w: float = 1.0
    slots: int = 1
    """Processes that it serves at a time."""


@dataclass(frozen=True)
class Beat:
    """How a node is at this moment; whoever does not say so for a while is taken for dead."""

    life: str
    """Another one each time the node is started: what it held before is gone."""
    availability: float
    """Share of its compute that is free but for what it does for us, in [0, 1]."""
    battery: float = 1.0
    """Share that is left; 1 for mains."""


@dataclass(frozen=True)
class Enrolment:
    """What a node says when it is admitted to a process."""

    samples: int
    counts: tuple[int, ...]
    """[n_classes]: samples of each label; empty where the node does not tell."""
    life: str


@dataclass(frozen=True)
class Report:
    """What came of a hop on a node: numbers alone."""

    job: int
    batches: int
    loss: float
    """Mean training loss; nan if nothing was trained."""
    metric: float | None
    """Validation score of the model after it, in [0, 1]; None where the node was not to evaluate."""
    received_bytes: int
    receive_s: float
    compute_s: float
    evaluate_s: float
    life: str


class _OfSeat(SnakegymError):
    def __init__(self, message: str, seat: int | None = None) -> None:
        super().__init__(message)
        self.message, self.seat = message, seat

    def __reduce__(self) -> tuple[type[_OfSeat], tuple[str, int | None]]:
        return type(self), (self.message, self.seat)


class Refused(_OfSeat):
    """A node's update, or what it was to hand on, is not taken; `seat` says whose."""


class Lost(_OfSeat):
    """Nothing is heard of a hop any more; `seat` says of whom."""
