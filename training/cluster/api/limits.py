"""How often somebody may ask."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

MOST_KNOWN = 10_000
"""Of whom it is remembered how often they asked."""


class Bucket:
    """So many at once, then so many a second, for each who asks (a token bucket).

    Args:
        rate: a second.
        burst: at once.
        now: seconds.
    """

    def __init__(self, rate: float, burst: float, now: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._now = rate, burst, now
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, who: str) -> float:
        """0 if this is granted; else seconds until it would be."""
        left, now = self._filled(who)
        granted = left >= 1
        self._left[who] = (left - 1 if granted else left, now)
        self._left.move_to_end(who)
        while len(self._left) > MOST_KNOWN:
            self._left.popitem(last=False)
        return 0.0 if granted else (1 - left) / self._rate

    def empty(self, who: str) -> bool:
        """Whether nothing would be granted now; takes nothing."""
        return self._filled(who)[0] < 1

    def _filled(self, who: str) -> tuple[float, float]:
        now = self._now()
        left, since = self._left.get(who, (self._burst, now))
        return min(self._burst, left + (now - since) * self._rate), now
