"""What time it is in a process: simulated hops move its clock, real ones take their time."""

from __future__ import annotations

import math
from typing import Protocol


class Clock(Protocol):
    """Tells a process its time, in seconds since it began."""

    def after(self, clock_s: float, spent_s: float) -> float:
        """The time now, after something that began at `clock_s` and is said to have taken `spent_s`."""
        ...


class SimulatedClock:
    """Time passes with what is done, and with nothing else."""

    def after(self, clock_s: float, spent_s: float) -> float:
        """The end of what was done."""
        return clock_s + spent_s


def not_beyond(clock_s: float, end_s: float) -> float:
    """The clock; exactly the end where it differs by no more than rounding: times are sums."""
    return end_s if math.isclose(clock_s, end_s, rel_tol=1e-12) else clock_s
