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
        ups = [t.presence for t in distinct]
        self._up_constants = np.concatenate([t.constants for t in ups])
        self._up_total = np.array([t.cumulative[-1] for t in ups])[row]
        self._highest = np.array([t.values.max() for t in distinct])[row]
        self._uneven = [(t, np.flatnonzero(row == i)) for i, t in enumerate(distinct) if not t.step_s]

    def __len__(self) -> int:
        return len(self._traces)

    def at(self, time_s: float) -> Floats:
        """[N]: values at `time_s` >= 0."""
        return self._values.take(self._locate(time_s + self._offsets)[2])

    def look_back(self, edges_s: ArrayLike) -> tuple[Floats, Floats, Floats]:
        """Present values, and what was between moments.

        Args:
            edges_s: [K + 1], K >= 1, in order of time, >= 0. Between two that are equal nothing is known:
                what follows (or else the present) stands in.

        Returns:
            [N]: values at the last of the moments; [K, N]: means from each moment to the next; [K, N]: shares
            of that time, in [0, 1], in which the value was more than 0.
        """
        edges = np.asarray(edges_s, np.float64)
        periods, local, i = self._locate(edges[:, None] + self._offsets)
        values = self._values.take(i)
        area = periods * self._total + self._constants.take(i) + values * local
        up_area = periods * self._up_total + self._up_constants.take(i) + (values > 0) * local
        lasted, now = np.diff(edges), values[-1]
        means = _per_second(area, lasted, now)
        np.minimum(means, self._highest, out=means)  # rounding, which is all there is of late moments
        up = _per_second(up_area, lasted, now > 0)
        return now, np.maximum(means, 0.0, out=means), np.clip(up, 0.0, 1.0, out=up)

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


def _per_second(area: Floats, lasted_s: Floats, now: ArrayLike) -> Floats:
    """[K, N]: means over K stretches from integrals [K + 1, N] up to their ends; see `look_back`."""
    known = lasted_s > 0
    means: Floats = np.diff(area, axis=0) / np.where(known, lasted_s, 1.0)[:, None]
    for k in range(len(known) - 1, -1, -1):
        if not known[k]:
            means[k] = means[k + 1] if k + 1 < len(known) else now
    return means
