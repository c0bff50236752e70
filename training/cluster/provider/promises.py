"""Whether a process keeps what its service was promised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from snakegym.training.cluster.description import Sla

HALF = 0.5
"""Share of the time to the deadline before which nothing is foretold."""


@dataclass(frozen=True)
class Progress:
    """How far a process is."""

    clock_s: float
    metric: float
    initial: float
    """The metric when it began."""
    over: bool = False


def broken(sla: Sla, now: Progress) -> list[dict[str, Any]]:
    """Promises that are broken, or at risk: as fields of an `sla` event.

    The accuracy is at risk when half of the time to the deadline has passed, and the mean rate of gain so far
    would not suffice for the other half.
    """
    if sla.least_accuracy is None:
        late = sla.deadline_s is not None and not now.over and now.clock_s >= sla.deadline_s
        return [_event("deadline", "broken", now.clock_s, sla.deadline_s)] if late else []
    if now.metric >= sla.least_accuracy:
        return []
    event = ("least_accuracy", now.metric, sla.least_accuracy)
    if now.over or (sla.deadline_s is not None and now.clock_s >= sla.deadline_s):
        return [_event(event[0], "broken", *event[1:])]
    if sla.deadline_s is None or now.clock_s < HALF * sla.deadline_s:
        return []
    rate = (now.metric - now.initial) / now.clock_s
    expected = now.metric + rate * (sla.deadline_s - now.clock_s)
    return [] if expected >= sla.least_accuracy else [_event(event[0], "at risk", *event[1:])]


def _event(promise: str, state: str, found: float, promised: Any) -> dict[str, Any]:
    return {"promise": promise, "state": state, "found": found, "promised": promised}
