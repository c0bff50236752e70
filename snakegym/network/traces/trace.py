"""Traces: what a link or a node's compute did over time, and libraries of them split for learning."""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snakegym.arrays import read_only
from snakegym.errors import SnakegymError
from snakegym.network.traces.splits import SHARES, split_of
from snakegym.scenario import Split

Floats = NDArray[np.float64]
Segments = Iterator[tuple[float, float]]
"""Endless (duration in s, value) pairs in order of time."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The file that a trace comes from."""

    path: str
    """Relative to the folder of traces, with slashes."""
    format: str
    sha256: str
    """Of the file's bytes, hexadecimal."""
    key: bytes
    """What decides on its split (`snakegym.network.traces.splits`)."""
    source: str
    scenario: str


@dataclass(frozen=True, eq=False, init=False)
class Trace:
    """A piecewise-constant, periodic function of time. Immutable; copies share it.

    Value i holds on [times_s[i], times_s[i+1]), the last one until `period_s`; then it starts again.
    The unit is bit/s for links and a share in [0, 1] for compute.

    Args:
        name: shown in errors and reports.
        times_s: [K >= 1] finite, strictly increasing; may start anywhere (shifted to 0).
        values: [K] finite, >= 0.
        period_s: counted from the first time, longer than the last; default: the last time plus the
            median step (1 s for a single value).
        origin: the file it comes from; None for one that was generated.

    Raises:
        SnakegymError: naming the trace and the offending index.
    """

    name: str
    times_s: Floats
    """[K], read-only, starts at 0."""
    values: Floats
    """[K], read-only."""
    period_s: float
    origin: Origin | None

    def __init__(
        self,
        name: str,
        times_s: ArrayLike,
        values: ArrayLike,
        period_s: float | None = None,
        origin: Origin | None = None,
    ) -> None:
        times, levels = np.array(times_s, np.float64), np.array(values, np.float64)
        _check(name, times, levels)
        times -= times[0]
        if period_s is None:
            period_s = float(times[-1] + np.median(np.diff(times))) if len(times) > 1 else 1.0
        if not np.isfinite(period_s) or period_s <= times[-1]:
            raise SnakegymError(
                f"trace '{name}': period_s is {period_s}, expected more than the last time, {times[-1]} s"
            )
        read_only(times), read_only(levels)
        vars(self).update(name=name, times_s=times, values=levels, period_s=float(period_s), origin=origin)

    def __deepcopy__(self, memo: dict[int, Any]) -> Trace:
        return self

    @cached_property
    def cumulative(self) -> Floats:
        """[K + 1]: integral from 0 to each of the times and, last, over the whole period."""
        steps = np.diff(self.times_s, append=self.period_s)
        return np.concatenate(([0.0], np.cumsum(steps * self.values)))

    @cached_property
    def step_s(self) -> float | None:
        """Length of every piece but the last, infinite for a single one; None if they differ."""
        step = self.times_s.item(1) if len(self.times_s) > 1 else math.inf
        with np.errstate(over="ignore"):  # a first step of next to nothing
            even = np.array_equal(self.times_s / step, np.arange(len(self.times_s)))
        return step if even else None

    @cached_property
    def constants(self) -> Floats:
        """[K]: the integral from 0 to a time t is its piece's constant plus the piece's value times t."""
        return self.cumulative[:-1] - self.values * self.times_s

    @cached_property
    def presence(self) -> Trace:
        """The trace that is 1 where the value is more than 0, and 0 elsewhere."""
        return Trace(self.name, self.times_s, self.values > 0, self.period_s)

    @property
    def mean(self) -> float:
        """Over one period."""
        return float(self.cumulative[-1] / self.period_s)

    @cached_property
    def digest(self) -> bytes:
        """Hash of the content; the name does not enter."""
        content = np.concatenate((self.times_s, self.values, [self.period_s])).astype("<f8")
        return hashlib.blake2b(content.tobytes(), digest_size=16).digest()

    def at(self, time_s: ArrayLike) -> Floats:
        """Value at `time_s` >= 0, of the same shape."""
        return self.values[self.index(np.mod(time_s, self.period_s))]

    def integral(self, start_s: ArrayLike, end_s: ArrayLike) -> Floats:
        """Integral over [start_s, end_s], both >= 0 and broadcast."""
        area: Floats = self._primitive(end_s) - self._primitive(start_s)
        return area

    def segments(self, start_s: float) -> Segments:
        """The constant pieces from `start_s` >= 0 on, the first cut to its rest; never of length 0.

        A trace of one value is one piece of infinite length.
        """
        times, values, last = self.times_s, self.values, len(self.values) - 1
        if last == 0:
            yield float("inf"), values.item(0)
        now = start_s % self.period_s
        i = bisect_right(times, now) - 1
        while True:
            end = self.period_s if i == last else times.item(i + 1)
            if end > now:
                yield end - now, values.item(i)
            now, i = (0.0, 0) if i == last else (end, i + 1)

    def index(self, local_s: Floats) -> NDArray[np.intp]:
        """Of the piece that holds each time in [0, period_s)."""
        i: NDArray[np.intp] = np.searchsorted(self.times_s, local_s, side="right") - 1
        return i

    def _primitive(self, time_s: ArrayLike) -> Floats:
        periods, local = np.divmod(np.asarray(time_s, np.float64), self.period_s)
        i = self.index(local)
        area: Floats = periods * self.cumulative[-1] + self.constants[i] + self.values[i] * local
        return area


@dataclass(frozen=True, eq=False)
class LinkTrace:
    """Both directions of one node's link to the network. Immutable."""

    name: str
    uplink: Trace
    """bit/s, node to network."""
    downlink: Trace
    """bit/s, network to node."""
    rtt_s: float | None = None
    """Round-trip time; None where the source states none."""
    origin: Origin | None = None
    """The file it comes from; None for one that was generated."""

    @cached_property
    def digest(self) -> bytes:
        """Hash of the content of both directions."""
        return hashlib.blake2b(self.uplink.digest + self.downlink.digest, digest_size=16).digest()


_Entry = TypeVar("_Entry", Trace, LinkTrace)


@dataclass(frozen=True, eq=False)
class TraceLibrary:
    """Link and compute traces to draw networks from.

    Raises:
        SnakegymError: a compute trace with a value above 1.
    """

    links: tuple[LinkTrace, ...]
    computes: tuple[Trace, ...]

    def __post_init__(self) -> None:
        for trace in self.computes:
            if trace.values.max() > 1:
                raise SnakegymError(
                    f"compute trace '{trace.name}': found {trace.values.max()}, expected shares in [0, 1]"
                )

    def select(self, link: str = "*", compute: str = "*") -> TraceLibrary:
        """The traces whose names match the globs, which are parted by `|`.

        Raises:
            SnakegymError: none does.
        """
        return TraceLibrary(_matching(self.links, link, "link"), _matching(self.computes, compute, "compute"))

    def split(self, split: Split) -> TraceLibrary:
        """About 60 % (`train`), 20 % (`validation`) or 20 % (`test`) of the traces.

        A trace's split follows from its file's content alone (of a generated one: from its values), see
        `snakegym.network.traces.splits`: renaming or moving files and adding others changes nothing, and two
        copies of a file never end up in different splits.

        Raises:
            SnakegymError: unknown split, or no trace of a kind falls into it (too few traces).
        """
        if split not in SHARES:
            raise SnakegymError(f"unknown split '{split}': expected one of {', '.join(SHARES)}")
        return TraceLibrary(_part(self.links, split, "link"), _part(self.computes, split, "compute"))

    def manifest(self) -> list[dict[str, str | float | None]]:
        """What there is, as JSON data, one entry a trace, links first.

        Keys: kind, name, path, format, source, scenario, sha256 (of the file; of the values where there
        is none), split, hours, and the means over the period: mean_uplink_mbps and mean_downlink_mbps,
        or mean_available.
        """
        links = [
            _described(t, "link")
            | {
                "hours": t.uplink.period_s / 3600,
                "mean_uplink_mbps": t.uplink.mean / 1e6,
                "mean_downlink_mbps": t.downlink.mean / 1e6,
            }
            for t in self.links
        ]
        computes = [
            _described(t, "compute") | {"hours": t.period_s / 3600, "mean_available": t.mean}
            for t in self.computes
        ]
        return links + computes


def split_key(trace: Trace | LinkTrace) -> bytes:
    """What decides on a trace's split."""
    return trace.origin.key if trace.origin else trace.digest


def _described(trace: Trace | LinkTrace, kind: str) -> dict[str, str | float | None]:
    origin = trace.origin
    return {
        "kind": kind,
        "name": trace.name,
        "path": origin.path if origin else None,
        "format": origin.format if origin else "generated",
        "source": origin.source if origin else "generated",
        "scenario": origin.scenario if origin else "",
        "sha256": origin.sha256 if origin else trace.digest.hex(),
        "split": split_of(split_key(trace)),
    }


def _part(traces: Sequence[_Entry], split: Split, kind: str) -> tuple[_Entry, ...]:
    part = tuple(t for t in traces if split_of(split_key(t)) == split)
    if not part:
        raise SnakegymError(
            f"the {split} split holds none of the {len(traces)} {kind} traces: expected at least one; "
            "add traces (a hash of its content decides on each one's split; some 20 fill all three)"
        )
    return part


def _matching(traces: Sequence[_Entry], pattern: str, kind: str) -> tuple[_Entry, ...]:
    found = tuple(t for t in traces if any(fnmatchcase(t.name, part) for part in pattern.split("|")))
    if not found:
        raise SnakegymError(f"no {kind} trace is called '{pattern}' (there are {len(traces)} {kind} traces)")
    return found


def _check(name: str, times: Floats, values: Floats) -> None:
    if times.ndim != 1 or times.shape != values.shape or not len(times):
        raise SnakegymError(
            f"trace '{name}': found times of shape {times.shape} and values of shape {values.shape}, "
            "expected two lists of the same length, at least 1"
        )
    later = np.ones(len(times), bool)
    np.greater(times[1:], times[:-1], out=later[1:])
    for what, right, expected in (
        ("times_s", np.isfinite(times), "a finite number"),
        ("times_s", later, "more than the time before it"),
        ("values", np.isfinite(values) & (values >= 0), "a finite number >= 0"),
    ):
        if not right.all():
            i = int(np.argmin(right))
            found = (times if what == "times_s" else values)[i]
            raise SnakegymError(f"trace '{name}': {what}[{i}] is {found}, expected {expected}")
