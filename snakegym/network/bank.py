"""Many traces read at once: present values and means of a whole network in a few numpy calls."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snakegym.network.traces import Floats, Segments, Trace


class TraceBank:
    """N traces, each read from its own offset: row n at time t is `traces[n]` at t + offsets_s[n].

    The distinct traces lie one after the other on a single axis of time, so that one binary search
    serves all rows however different their sampling. Immutable.

    Args:
        traces: N of them; the same object may appear several times and is stored once.
        offsets_s: [N], >= 0.
    """

    def __init__(self, traces: Sequence[Trace], offsets_s: ArrayLike) -> None:
        self._traces = tuple(traces)
        self._offsets = np.broadcast_to(np.asarray(offsets_s, np.float64), len(self._traces))
        distinct = list({id(t): t for t in self._traces}.values())
        position = {id(t): i for i, t in enumerate(distinct)}
        row = np.array([position[id(t)] for t in self._traces])
        periods = np.array([t.period_s for t in distinct])
        bases = np.cumsum(periods) - periods
        lengths = np.array([len(t.values) for t in distinct])
        ends = np.cumsum(lengths)
        self._starts = np.concatenate([b + t.times_s for b, t in zip(bases, distinct, strict=True)])
        self._values = np.concatenate([t.values for t in distinct])
        self._areas = np.concatenate([t.cumulative[:-1] for t in distinct])
        self._period, self._base = periods[row], bases[row]
        self._total = np.array([t.cumulative[-1] for t in distinct])[row]
        self._first, self._last = (ends - lengths)[row], (ends - 1)[row]

    def __len__(self) -> int:
        return len(self._traces)

    def at(self, time_s: float) -> Floats:
        """[N]: values at `time_s` >= 0."""
        return self._values[self._locate(np.mod(time_s + self._offsets, self._period) + self._base)]

    def mean(self, start_s: float, end_s: float) -> Floats:
        """[N]: means over [start_s, end_s], 0 <= start_s < end_s."""
        span = np.array([[start_s], [end_s]])
        periods, local = np.divmod(span + self._offsets, self._period)
        key = local + self._base
        i = self._locate(key)
        area = periods * self._total + self._areas[i] + self._values[i] * (key - self._starts[i])
        mean: Floats = (area[1] - area[0]) / (end_s - start_s)
        return np.maximum(mean, 0.0)

    def segments(self, row: int, start_s: float) -> Segments:
        """The constant pieces of one row from `start_s` on, as `Trace.segments`."""
        return self._traces[row].segments(start_s + float(self._offsets[row]))

    def _locate(self, key: Floats) -> NDArray[np.intp]:
        """Index of the piece that holds each key; rounding must not carry it into a neighbour trace."""
        found = np.searchsorted(self._starts, key, side="right") - 1
        i: NDArray[np.intp] = np.minimum(np.maximum(found, self._first), self._last)
        return i
