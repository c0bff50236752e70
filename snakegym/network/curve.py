"""How far work gets on many courses, from many starts at once: for yardsticks that see the future."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snakegym.network.advance import Course
from snakegym.network.traces.trace import Floats

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Advanced:
    """How far work got from each start; arrays of one shape."""

    done: Floats
    """Of the amount."""
    elapsed_s: Floats
    """Until it was done or interrupted; infinite where that is beyond the curve's end."""
    complete: NDArray[np.bool_]
    """False: interrupted by an outage longer than the timeout, or beyond the curve's end."""


class Curves:
    """Courses laid out from time 0 to `end_s`, and the outages in them that interrupt work.

    All lie one after the other in one array, in which a search finds its place in whichever is asked of:
    row i is `courses[i]`.

    Args:
        courses: one at least: rates over time.
        end_s: > 0.
        timeout_s: an outage that lasts longer interrupts.
    """

    def __init__(self, courses: Sequence[Course], end_s: float, timeout_s: float) -> None:
        self._end_s, self._timeout_s = end_s, timeout_s
        edges, rates, works, outages = [], [], [], []
        for course in courses:
            durations, values = course.block(0.0, end_s)
            rate = course.factor * values
            edge = np.concatenate(([0.0], np.cumsum(durations)))
            edge[-1] = end_s
            edges.append(edge)
            rates.append(np.append(rate, 0.0))
            works.append(np.concatenate(([0.0], np.cumsum(durations * rate))))
            outages.append(_long_outages(edge, rate, timeout_s))
        self._edges, self._rates, self._work = map(np.concatenate, (edges, rates, works))
        sizes = np.array([len(edge) for edge in edges])
        self._last = np.cumsum(sizes) - 1
        self._first = self._last - sizes + 1
        row = np.repeat(np.arange(len(courses)), sizes)
        # What is looked for in row i is shifted by i times more than any row reaches.
        self._work_apart = 2 * float(self._work.max()) + 1
        self._edge_keys = self._edges + row * self._apart
        self._work_keys = self._work + row * self._work_apart
        self._outage_starts, self._outage_ends = (np.concatenate(a) for a in zip(*outages, strict=True))
        sizes = np.array([len(starts) for starts, _ in outages])
        self._none_left = np.cumsum(sizes) - 1
        row = np.repeat(np.arange(len(courses)), sizes)
        self._outage_keys = np.minimum(self._outage_ends, 1.5 * end_s) + row * self._apart

    @property
    def _apart(self) -> float:
        return 2 * self._end_s

    def rate(self, time_s: Floats, rows: ArrayLike = 0) -> Floats:
        """Of these rows at moments in [0, end_s); broadcasts."""
        rate: Floats = self._rates[self._piece(time_s, np.asarray(rows))]
        return rate

    def advance(self, start_s: ArrayLike, amount: ArrayLike, rows: ArrayLike = 0) -> Advanced:
        """As `Course.advance` up to rounding, within the curves. Broadcasts; starts may be infinite."""
        start_s, amount, rows = np.broadcast_arrays(
            np.asarray(start_s, np.float64), np.asarray(amount, np.float64), np.asarray(rows)
        )
        last = self._last[rows]
        before = self._done_by(start_s, rows)
        target = before + amount
        inside = (target <= self._work[last]) & (start_s < self._end_s)
        within = np.minimum(target, self._work[last]) + rows * self._work_apart
        piece = np.clip(np.searchsorted(self._work_keys, within), self._first[rows] + 1, last)
        rate = self._rates[piece - 1]
        beyond = np.divide(self._work[piece] - target, rate, out=np.zeros_like(target), where=rate > 0)
        finish = np.where(inside, np.maximum(self._edges[piece] - beyond, start_s), np.inf)
        stop = self._interrupted_at(start_s, rows)
        idle, lost = amount <= 0, (stop < finish) & (stop < self._end_s)
        with np.errstate(invalid="ignore"):  # from a start that is infinite nothing takes any time
            elapsed = np.where(idle, 0.0, np.where(lost, stop, finish) - start_s)
        elapsed = np.where(np.isfinite(start_s), elapsed, np.inf)
        partly, lost = amount.copy(), lost & ~idle
        partly[lost] = np.clip(self._done_by(stop[lost], rows[lost]) - before[lost], 0.0, amount[lost])
        return Advanced(partly, elapsed, np.isfinite(elapsed) & ~lost)

    def _piece(self, time_s: Floats, rows: Ints) -> Ints:
        """Where in the long arrays the piece begins that holds each moment."""
        keys = np.minimum(time_s, self._end_s) + rows * self._apart
        found = np.searchsorted(self._edge_keys, keys, side="right") - 1
        piece: Ints = np.clip(found, self._first[rows], self._last[rows])
        return piece

    def _done_by(self, time_s: Floats, rows: Ints) -> Floats:
        """Work from time 0 on."""
        piece = self._piece(time_s, rows)
        since = np.minimum(time_s, self._end_s) - self._edges[piece]
        done: Floats = self._work[piece] + self._rates[piece] * since
        return done

    def _interrupted_at(self, start_s: Floats, rows: Ints) -> Floats:
        """When work from each start on is interrupted, if it is not done before."""
        keys, none_left = np.minimum(start_s, self._end_s) + rows * self._apart, self._none_left[rows]
        following = np.searchsorted(self._outage_keys, keys, side="right")
        with np.errstate(invalid="ignore"):  # there is none any more
            left_s = self._outage_ends[following] - np.maximum(start_s, self._outage_starts[following])
        short = left_s <= self._timeout_s  # what is left of an outage that began before
        following = np.minimum(following + short, none_left)
        at: Floats = np.maximum(start_s, self._outage_starts[following]) + self._timeout_s
        return at


def _long_outages(edges: Floats, rates: Floats, timeout_s: float) -> tuple[Floats, Floats]:
    """Starts and ends of those that last longer, and one that never comes."""
    change = np.diff(np.concatenate(([0], (rates <= 0).astype(np.int8), [0])))
    starts, ends = edges[np.flatnonzero(change == 1)], edges[np.flatnonzero(change == -1)]
    long = ends - starts > timeout_s
    return np.append(starts[long], np.inf), np.append(ends[long], np.inf)
