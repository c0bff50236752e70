"""The clock of a process whose hops take their time."""

from __future__ import annotations

import time
from collections.abc import Callable


class WallClock:
    """A `Clock` that goes on by itself from when it is made, and not while its process is not running.

    Args:
        start_s: the process's time now.
        now: seconds, from any beginning.
    """

    def __init__(self, start_s: float = 0.0, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._zero = now() - start_s

    def elapsed(self) -> float:
        """The process's time, s."""
        return self._now() - self._zero

    def after(self, clock_s: float, spent_s: float) -> float:
        """What is said to have been spent is not asked for: time has passed."""
        return self.elapsed()
