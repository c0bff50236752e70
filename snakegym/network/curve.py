"""How far work gets at rates that change, from many starts at once: for yardsticks that see the future."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snakegym.network.advance import Course
from snakegym.network.traces.trace import Floats


@dataclass(frozen=True)
class Advanced:
    """How far work got from each start; arrays of one shape."""

    done: Floats
    """Of the amount."""
    elapsed_s: Floats
    """Until it was done or interrupted; infinite where that is beyond the curve's end."""
    complete: NDArray[np.bool_]
    """False: interrupted by an outage longer than the timeout, or beyond the curve's end."""


class Curve:
    """A course laid out from time 0 to `end_s`, and the outages in it that interrupt work.

    Args:
        course: the rate over time.
        end_s: > 0.
        timeout_s: an outage that lasts longer interrupts.
    """

    def __init__(self, course: Course, end_s: float, timeout_s: float) -> None:
        durations, rates = course.block(0.0, end_s)
        self._rates = course.factor * rates
        self._edges = np.concatenate(([0.0], np.cumsum(durations)))
        self._edges[-1] = end_s
        self._work = np.concatenate(([0.0], np.cumsum(durations * self._rates)))
        self._timeout_s = timeout_s
        change = np.diff(np.concatenate(([0], (self._rates <= 0).astype(np.int8), [0])))
        starts, ends = self._edges[np.flatnonzero(change == 1)], self._edges[np.flatnonzero(change == -1)]
        long = ends - starts > timeout_s
        self._outage_starts = np.append(starts[long], np.inf)
        self._outage_ends = np.append(ends[long], np.inf)

    def advance(self, start_s: Floats, amount: Floats) -> Advanced:
        """As `Course.advance` up to rounding, within the curve. Broadcasts; starts may be infinite."""
        start_s, amount = np.broadcast_arrays(start_s, amount)
        target = self._done_by(start_s) + amount
        piece = np.searchsorted(self._work, target)
        inside = (piece < len(self._work)) & (start_s < self._edges[-1])
        piece = np.clip(piece, 1, len(self._rates))
        rate = self._rates[piece - 1]
        beyond = np.divide(self._work[piece] - target, rate, out=np.zeros_like(target), where=rate > 0)
        finish = np.where(inside, np.maximum(self._edges[piece] - beyond, start_s), np.inf)
        stop = self._interrupted_at(start_s)
        idle, lost = amount <= 0, (stop < finish) & (stop < self._edges[-1])
        with np.errstate(invalid="ignore"):  # from a start that is infinite nothing takes any time
            elapsed = np.where(idle, 0.0, np.where(lost, stop, finish) - start_s)
        elapsed = np.where(np.isfinite(start_s), elapsed, np.inf)
        partly = self._done_by(np.minimum(stop, self._edges[-1])) - (target - amount)
        done = np.where(lost & ~idle, np.clip(partly, 0.0, amount), amount)
        return Advanced(done, elapsed, np.isfinite(elapsed) & ~(lost & ~idle))

    def _done_by(self, time_s: Floats) -> Floats:
        """Work from time 0 on."""
        done: Floats = np.interp(time_s, self._edges, self._work)
        return done

    def _interrupted_at(self, start_s: Floats) -> Floats:
        """When work from each start on is interrupted, if it is not done before."""
        following = np.searchsorted(self._outage_ends, start_s, side="right")
        following = np.minimum(following, len(self._outage_ends) - 1)
        with np.errstate(invalid="ignore"):  # there is none any more
            left_s = self._outage_ends[following] - np.maximum(start_s, self._outage_starts[following])
        short = left_s <= self._timeout_s  # what is left of an outage that began before
        following = np.minimum(following + short, len(self._outage_ends) - 1)
        at: Floats = np.maximum(start_s, self._outage_starts[following]) + self._timeout_s
        return at
