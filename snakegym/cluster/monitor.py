"""What a Process Controller knows of real nodes: what they say, and what hops took."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from snakegym.arrays import read_only
from snakegym.cluster.statements import LEAST_SHARE, Beat, Means, Report
from snakegym.control.view import Floats
from snakegym.network.costs import BITS_PER_BYTE
from snakegym.network.network import PAST_WINDOWS, Measurement
from snakegym.network.records import PCE

SILENCE_S = 4.0
"""Without a beat for so long a node is dead."""
FIRST_RATE_BPS = 1e8
"""Of a link over which nothing has gone yet."""
LEAST_BYTES = 1000
"""Of a transfer from which a rate is measured; less is all overhead."""
_KEPT = 4096
"""Beats of a node that are remembered: more than half an hour."""


class _Past:
    """The last beats in one array: a controller looks at it at every hop, however many there are."""

    def __init__(self) -> None:
        self._rows, self._n = np.zeros((2 * _KEPT, 4)), 0

    def __bool__(self) -> bool:
        return self._n > 0

    @property
    def rows(self) -> Floats:
        """[n, 4]: time, availability, uplink, downlink; 0 for what is away. A copy."""
        rows: Floats = self._rows[max(0, self._n - _KEPT) : self._n].copy()
        return rows

    @property
    def availability(self) -> float:
        """As said last."""
        return float(self._rows[self._n - 1, 1])

    def add(self, *row: float) -> None:
        if self._n == len(self._rows):
            self._rows[:_KEPT], self._n = self._rows[_KEPT:].copy(), _KEPT
        self._rows[self._n] = row
        self._n += 1


@dataclass
class _Seat:
    """Of one seat: who sits there, and what was measured there."""

    means: Means | None = None
    life: str = ""
    heard_s: float = -np.inf
    gone_s: float = -np.inf
    battery: float = 1.0
    up_bps: float = FIRST_RATE_BPS
    down_bps: float = FIRST_RATE_BPS
    flops: float = 0.0
    """FLOP/s as trained last, when all of the node is free; 0: not yet."""
    past: _Past = field(default_factory=_Past)


class MeasuredNodes:
    """A `Monitor` of nodes that beat and train. Rates are those of the last transfer, or a guess before it.

    `beat` may be called by another thread than the rest.

    Args:
        n: seats of the process, taken or not.
    """

    def __init__(self, n: int) -> None:
        self._seats = [_Seat() for _ in range(n)]
        self._banned: set[str] = set()
        self._lock = threading.Lock()
        self._arrays()

    @property
    def n_nodes(self) -> int:
        """Seats."""
        return len(self._seats)

    def sit(self, seat: int, means: Means | None) -> None:
        """That node sits there from now on, and has not been heard of yet; None: nobody does."""
        self._seats[seat] = _Seat(means)
        self._arrays()

    def gone(self, seat: int, time_s: float) -> None:
        """Who sits there did not answer; it is dead until it is heard of after that time."""
        self._seats[seat].heard_s, self._seats[seat].gone_s = -np.inf, time_s

    def ban(self, seat: int) -> None:
        """Who sits there is not worked with any more, wherever it sits."""
        means = self._seats[seat].means
        if means is not None:
            self.ban_name(means.name)

    def ban_name(self, name: str) -> None:
        """The node of that name is not worked with."""
        self._banned.add(name)

    @property
    def banned(self) -> list[str]:
        """Names, in alphabetical order."""
        return sorted(self._banned)

    def beat(self, seat: int, time_s: float, beat: Beat) -> bool:
        """Who sits there was heard of; whether it has begun another life since it was heard of last."""
        found = self._seats[seat]
        if time_s <= found.gone_s:
            return False
        anew = bool(found.life) and found.life != beat.life
        found.life, found.heard_s, found.battery = beat.life, time_s, beat.battery
        availability = float(np.clip(beat.availability, LEAST_SHARE, 1.0))
        with self._lock:
            found.past.add(time_s, availability, found.up_bps, found.down_bps)
        return anew

    def alive(self, seat: int, time_s: float) -> bool:
        """Whether somebody sits there that was heard of lately, and is not banned."""
        found = self._seats[seat]
        there = found.means is not None and found.means.name not in self._banned
        return there and time_s - found.heard_s <= SILENCE_S

    def moved(self, sender: int, receiver: int, n_bytes: float, seconds: float) -> None:
        """So many bytes went from one end to the other: seats, or the PCE."""
        if n_bytes < LEAST_BYTES or seconds <= 0:
            return
        rate = BITS_PER_BYTE * n_bytes / seconds
        if sender != PCE:
            self._seats[sender].up_bps = rate
        if receiver != PCE:
            self._seats[receiver].down_bps = rate

    def trained(self, seat: int, flops: float, report: Report, time_s: float) -> None:
        """A node has done so much in that time, which was over at `time_s`."""
        if report.compute_s > 0:
            end_s = time_s - report.evaluate_s
            share = self.free(seat, end_s - report.compute_s, end_s)
            self._seats[seat].flops = flops / report.compute_s / share
            self._arrays()

    def free(self, seat: int, start_s: float, end_s: float) -> float:
        """Mean share of its compute that was free: by the beats in that time, else by the last one before."""
        with self._lock:
            beats = self._seats[seat].past.rows
        times, shares = beats[:, 0], beats[:, 1]
        first, last = np.searchsorted(times, (start_s, end_s), side="right")
        known = shares[first:last] if last > first else shares[max(0, first - 1) : max(0, first - 1) + 1]
        return float(known.mean()) if len(known) else 1.0

    def measure(self, time_s: float, window_s: float) -> Measurement:
        """See `Monitor`; a window in which nothing was heard has what was heard before it."""
        now = np.array([self._now(i, time_s) for i in range(self.n_nodes)])
        windows = np.array([self._windows(seat, time_s, window_s) for seat in self._seats])
        past, up = windows[:, :, :3], windows[:, :, 3]
        read_only(now), read_only(past)
        return Measurement(
            availability=now[:, 0],
            uplink_bps=now[:, 1],
            downlink_bps=now[:, 2],
            mean_availability=past[:, -1, 0],
            mean_uplink_bps=past[:, -1, 1],
            mean_downlink_bps=past[:, -1, 2],
            past_availability=past[:, :, 0],
            past_uplink_bps=past[:, :, 1],
            past_downlink_bps=past[:, :, 2],
            past_up=read_only(up.copy()),
            up=read_only(np.array([self.alive(i, time_s) for i in range(self.n_nodes)], dtype=np.bool_)),
        )

    def _now(self, seat: int, time_s: float) -> tuple[float, float, float]:
        found = self._seats[seat]
        if not self.alive(seat, time_s) or not found.past:
            return 0.0, 0.0, 0.0
        return found.past.availability, found.up_bps, found.down_bps

    def _windows(self, seat: _Seat, time_s: float, window_s: float) -> Floats:
        """[PAST_WINDOWS, 4], oldest first: mean availability, rates, and share of the time that it was up."""
        rows = np.zeros((PAST_WINDOWS, 4))
        with self._lock:
            beats = seat.past.rows
        edges = time_s - window_s * np.arange(PAST_WINDOWS, -1.0, -1.0)
        for row, (start, end) in enumerate(pairwise(edges)):
            inside = beats[(beats[:, 0] > start) & (beats[:, 0] <= end)]
            known = inside if len(inside) else beats[beats[:, 0] <= end][-1:]
            if len(known):
                rows[row, :3] = known[:, 1:].mean(axis=0)
                rows[row, 3] = _covered(inside[:, 0], max(start, float(beats[0, 0])), end)
        for row in reversed(range(PAST_WINDOWS - 1)):  # from before the first beat nothing is known
            if not rows[row, 0]:
                rows[row] = rows[row + 1]
        return rows

    def _arrays(self) -> None:
        """What never changes, or seldom."""
        means = [seat.means for seat in self._seats]

        def array(values: list[float]) -> Floats:
            return read_only(np.array(values, dtype=np.float64))

        self.peak_flops = array(
            [s.flops or (1.0 if s.means is None else s.means.peak_flops) for s in self._seats]
        )
        self.memory_bytes = array([0.0 if m is None else m.memory_bytes for m in means])
        self.compute_power_w = array([0.0 if m is None else m.compute_power_w for m in means])
        self.radio_power_w = array([0.0 if m is None else m.radio_power_w for m in means])
        self.battery_j = array([np.inf] * len(means))
        self.rtt_s = array([0.0] * len(means))


def _covered(times: Floats, start: float, end: float) -> float:
    """Share of the time from `start` to `end` in which a beat was less than SILENCE_S ago."""
    if end <= start:
        return 1.0
    marks = np.concatenate([times, [end]])
    gaps: Floats = np.minimum(np.diff(marks), SILENCE_S)
    return float(min(1.0, (gaps.sum() + min(SILENCE_S, marks[0] - start)) / (end - start)))
