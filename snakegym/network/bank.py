"""Many traces read at once: present values and means of a whole network in a few numpy calls."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snakegym.network.traces.trace import Floats, Trace


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
        self._highest = np.array([t.values.max() for t in distinct])[row]
        self._uneven = [(t, np.flatnonzero(row == i)) for i, t in enumerate(distinct) if not t.step_s]

    def __len__(self) -> int:
        return len(self._traces)

    def at(self, time_s: float) -> Floats:
        """[N]: values at `time_s` >= 0."""
        return self._values.take(self._locate(time_s + self._offsets)[2])

    def mean(self, start_s: float, end_s: float) -> Floats:
        """[N]: means over [start_s, end_s], 0 <= start_s < end_s."""
        return self.look_back(start_s, end_s)[1]

    def look_back(self, start_s: float, end_s: float) -> tuple[Floats, Floats]:
        """[N] each: values at `end_s`, and means over [start_s, end_s], 0 <= start_s < end_s."""
        times = np.empty((2, len(self)))
        times[0], times[1] = self._offsets + start_s, self._offsets + end_s
        periods, local, i = self._locate(times)
        values = self._values.take(i)
        area = periods * self._total + self._constants.take(i) + values * local
        mean: Floats = (area[1] - area[0]) / (end_s - start_s)
        np.minimum(mean, self._highest, out=mean)  # rounding, which is all there is of late moments
        return values[1], np.maximum(mean, 0.0, out=mean)

    def placed(self, row: int) -> tuple[Trace, float]:
        """The trace of a row, and its offset."""
        return self._traces[row], float(self._offsets[row])

    def _locate(self, times_s: Floats) -> tuple[Floats, Floats, NDArray[np.intp]]:
        """Periods that are over at each time [..., N], time within the present one, index of its piece.

        Rounding may put the end of a period just before the start of the next; it is never carried
        into a neighbour trace, however late it is.
        """
        periods = np.floor(times_s / self._period)
        local = times_s - periods * self._period
        np.minimum(np.maximum(local, 0.0, out=local), self._period, out=local)
        i = (local / self._step).astype(np.intp) + self._first
        for trace, rows in self._uneven:
            i[..., rows] = np.maximum(trace.index(local[..., rows]), 0) + self._first[rows]
        return periods, local, np.minimum(i, self._last, out=i)  # the last piece may be a longer one
