"""Many traces read at once: present values and means of a whole network in a few numpy calls."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snakegym.network.traces import Floats, Segments, Trace


class TraceBank:
    """N traces, each read from its own offset: row n at time t is `traces[n]` at t + offsets_s[n].

    The pieces of all distinct traces lie one after the other. Where a trace was sampled evenly, as nearly all
    are, a division finds the piece that holds a moment; each of the others is searched. Immutable.

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
        lengths = np.array([len(t.values) for t in distinct])
        ends = np.cumsum(lengths)
        self._values = np.concatenate([t.values for t in distinct])
        self._constants = np.concatenate([t.constants for t in distinct])
        self._first, self._last = (ends - lengths)[row], (ends - 1)[row]
        self._period = np.array([t.period_s for t in distinct])[row]
        self._step = np.array([t.step_s or np.inf for t in distinct])[row]
        self._total = np.array([t.cumulative[-1] for t in distinct])[row]
        self._uneven = [(t, np.flatnonzero(row == i)) for i, t in enumerate(distinct) if not t.step_s]

    def __len__(self) -> int:
        return len(self._traces)

    def at(self, time_s: float) -> Floats:
        """[N]: values at `time_s` >= 0."""
        return self._values.take(self._locate(np.mod(time_s + self._offsets, self._period)))

    def mean(self, start_s: float, end_s: float) -> Floats:
        """[N]: means over [start_s, end_s], 0 <= start_s < end_s."""
        return self.look_back(start_s, end_s)[1]

    def look_back(self, start_s: float, end_s: float) -> tuple[Floats, Floats]:
        """[N] each: values at `end_s`, and means over [start_s, end_s], 0 <= start_s < end_s."""
        span = np.array([[start_s], [end_s]])
        periods, local = np.divmod(span + self._offsets, self._period)
        i = self._locate(local)
        values = self._values.take(i)
        area = periods * self._total + self._constants.take(i) + values * local
        mean: Floats = (area[1] - area[0]) / (end_s - start_s)
        return values[1], np.maximum(mean, 0.0, out=mean)

    def segments(self, row: int, start_s: float) -> Segments:
        """The constant pieces of one row from `start_s` on, as `Trace.segments`."""
        return self._traces[row].segments(start_s + float(self._offsets[row]))

    def _locate(self, local_s: Floats) -> NDArray[np.intp]:
        """Index of the piece that holds each time [..., N] within its row's period."""
        i = (local_s / self._step).astype(np.intp) + self._first
        for trace, rows in self._uneven:
            i[..., rows] = trace.index(local_s[..., rows]) + self._first[rows]
        found: NDArray[np.intp] = np.minimum(i, self._last, out=i)  # the last piece may be a longer one
        return found
