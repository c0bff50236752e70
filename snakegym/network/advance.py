"""How far work gets at rates that change: the smallest T with the integral of the rate over T equal to it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np

from snakegym.errors import SnakegymError
from snakegym.network.traces.trace import Floats, Segments, Trace

_FEW: Final = 256
"""Pieces that are taken one by one; what is left after them goes block by block, in numpy."""
_MOST: Final = 2**17
"""Pieces in a block, about."""
_ENOUGH: Final = 2**21
"""Pieces after which two traces are taken to go on as on average: some weeks at a second a piece."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far work of a certain amount got at a varying rate."""

    done: float
    """Of the amount; exactly the amount if complete."""
    elapsed_s: float
    complete: bool
    """False: interrupted by an outage longer than the timeout."""


@dataclass(slots=True)
class _State:
    """Where work stands between two pieces."""

    done: float = 0.0
    elapsed_s: float = 0.0
    outage_s: float = 0.0
    """How long the rate has been 0 for."""
    pieces: int = 0
    """How many were taken."""


def advance(segments: Iterable[tuple[float, float]], amount: float, timeout_s: float) -> Progress:
    """Work through `amount` at the rates of `segments`, endless (duration in s, rate) pairs.

    Takes the smallest T with the integral of the rate over T equal to the amount. An outage (rate
    0) that lasts longer than `timeout_s` ends it at the outage's start plus the timeout; an outage
    already under way counts from the start of the work. An amount of 0 takes no time.

    Raises:
        SnakegymError: the segments end before the amount is reached.
    """
    progress = _one_by_one(segments, amount, timeout_s, _State())
    if progress is None:
        raise SnakegymError("segments: found their end before the amount was reached, expected endless ones")
    return progress


@dataclass(frozen=True, slots=True)
class Course:
    """A rate over time: a trace, or the smaller of two, each read from its own offset, times a factor.

    Attributes:
        traces: one or two, each with its offset in s.
        factor: from the traces' unit to that of the work.
    """

    traces: tuple[tuple[Trace, float], ...]
    factor: float = 1.0

    def segments(self, start_s: float) -> Segments:
        """The constant pieces from `start_s` >= 0 on, without the factor."""
        first, *others = (trace.segments(start_s + offset) for trace, offset in self.traces)
        return _slower(first, others[0]) if others else first

    def advance(self, start_s: float, amount: float, timeout_s: float) -> Progress:
        """As the function `advance`, from `start_s` on, and quick however long the work takes.

        Whole periods of a single trace are skipped: if none of its outages ended the work in two
        periods, none ever does. Two traces have no period in common; their pieces are counted.
        """
        skipped_s, rest = self._whole_periods(amount)
        if math.isnan(rest):  # nothing in a whole period
            return Progress(0.0, timeout_s, False)
        progress = self._through(start_s, rest, timeout_s)
        if progress.complete and skipped_s:
            return Progress(amount, skipped_s + progress.elapsed_s, True)
        return progress

    def within(self, start_s: float, seconds: float) -> float:
        """How much gets done from `start_s` on in that time."""
        (trace, offset), *others = self.traces
        if not others:
            now = start_s + offset
            return self.factor * max(0.0, float(trace.integral(now, now + seconds)))  # rounding
        pieces_per_s = sum(len(trace.values) / trace.period_s for trace, _ in self.traces)
        passed = done = 0.0
        while passed < seconds:
            if passed * pieces_per_s > _ENOUGH:
                return done * (seconds / passed)
            length_s = min(seconds - passed, max(_MOST / pieces_per_s, 1.0))
            durations, rates = self.block(start_s + passed, length_s)
            done, passed = done + self.factor * float(durations @ rates), passed + length_s
        return done

    def _whole_periods(self, amount: float) -> tuple[float, float]:
        """Time of the periods to skip, and what is left then; NaN if a period brings nothing."""
        trace = self.traces[0][0]
        per_period = trace.cumulative.item(-1) * self.factor
        if amount <= 0 or len(self.traces) > 1 or len(trace.values) == 1 or amount <= 3 * per_period:
            return 0.0, amount
        if per_period <= 0:
            return 0.0, math.nan
        rest = 2 * per_period + math.fmod(amount, per_period)
        periods = (amount - rest) / per_period
        return (periods if periods > 2**53 else round(periods)) * trace.period_s, rest

    def _through(self, start_s: float, amount: float, timeout_s: float) -> Progress:
        state, factor = _State(), self.factor
        pieces = islice(self.segments(start_s), _FEW)
        progress = _one_by_one(((d, factor * r) for d, r in pieces), amount, timeout_s, state)
        block_s = 2 * state.elapsed_s
        while progress is None:
            if state.pieces > _ENOUGH:
                if state.done <= 0:
                    return Progress(0.0, timeout_s, False)
                return Progress(amount, state.elapsed_s * (amount / state.done), True)
            durations, rates = self.block(start_s + state.elapsed_s, block_s)
            progress = _at_once(durations, factor * rates, amount, timeout_s, state)
            block_s *= 2 if len(rates) < _MOST else 1
        return progress

    def block(self, start_s: float, length_s: float) -> tuple[Floats, Floats]:
        """Durations and rates of the pieces in [start_s, start_s + length_s), without the factor."""
        parts = [_window(trace, start_s + offset, length_s) for trace, offset in self.traces]
        starts = np.unique(np.concatenate([times for times, _ in parts]))
        rates = [values[np.searchsorted(times, starts, side="right") - 1] for times, values in parts]
        return np.diff(starts, append=length_s), np.minimum.reduce(rates)


def _one_by_one(
    segments: Iterable[tuple[float, float]], amount: float, timeout_s: float, state: _State
) -> Progress | None:
    """Work through the pieces from `state` on; None, and the state after them, if they do not do."""
    if amount <= 0:
        return Progress(0.0, 0.0, True)
    done, elapsed, outage = state.done, state.elapsed_s, state.outage_s
    for duration, rate in segments:
        if rate > 0:
            outage = 0.0
            left = amount - done
            if rate * duration >= left:
                return Progress(amount, elapsed + left / rate, True)
            done = min(amount, done + rate * duration)
        elif done >= amount:  # rounding took care of the last crumb
            return Progress(amount, elapsed, True)
        else:
            if outage + duration > timeout_s:
                return Progress(done, elapsed + (timeout_s - outage), False)
            outage += duration
        elapsed += duration
    state.done, state.elapsed_s, state.outage_s = done, elapsed, outage
    return None


def _at_once(
    durations: Floats, rates: Floats, amount: float, timeout_s: float, state: _State
) -> Progress | None:
    """The same for arrays."""
    work, ends, idle = np.cumsum(durations * rates), np.cumsum(durations), rates <= 0
    left = amount - state.done
    if left <= 0:  # rounding took care of the last crumb
        return Progress(amount, state.elapsed_s, True)
    idle_s = np.cumsum(np.where(idle, durations, 0.0))
    # How long the rate has been 0 for at the end of each piece.
    outage_s = idle_s - np.maximum.accumulate(np.where(idle, -state.outage_s, idle_s))
    late = idle & (outage_s > timeout_s)
    finish = int(np.searchsorted(work, left))
    stop = int(late.argmax()) if late.any() else len(rates)
    if finish < min(stop, len(rates)):
        beyond = (work.item(finish) - left) / rates.item(finish)
        return Progress(amount, state.elapsed_s + max(0.0, ends.item(finish) - beyond), True)
    if stop < len(rates):
        elapsed = state.elapsed_s + ends.item(stop) - (outage_s.item(stop) - timeout_s)
        return Progress(min(amount, state.done + work.item(stop)), elapsed, False)
    state.done = min(amount, state.done + work.item(-1))
    state.elapsed_s += ends.item(-1)
    state.outage_s = outage_s.item(-1)
    state.pieces += len(rates)
    return None


def _window(trace: Trace, start_s: float, length_s: float) -> tuple[Floats, Floats]:
    """Starts, counted from `start_s`, and values of a trace's pieces in [start_s, start_s + length_s)."""
    if len(trace.values) == 1:
        return np.zeros(1), trace.values
    local = start_s % trace.period_s
    periods = np.arange(math.floor((local + length_s) / trace.period_s) + 1) * trace.period_s
    times = (periods[:, None] + trace.times_s).ravel() - local
    values = np.tile(trace.values, len(periods))
    first = int(np.searchsorted(times, 0.0, side="right")) - 1
    last = int(np.searchsorted(times, length_s, side="left"))
    times = np.maximum(times[first:last], 0.0)
    return times, values[first:last]


def _slower(a: Segments, b: Segments) -> Segments:
    """The smaller of two functions, cut at the pieces' boundaries of both."""
    a_left, a_rate = next(a)
    b_left, b_rate = next(b)
    while True:
        duration = min(a_left, b_left)
        yield duration, min(a_rate, b_rate)
        a_left -= duration
        b_left -= duration
        if a_left <= 0:
            a_left, a_rate = next(a)
        if b_left <= 0:
            b_left, b_rate = next(b)
