"""Reader of tidy trace files: one CSV a trace, with a header and uneven sampling as measured.

Link files have `time_s` and `downlink_mbps`, `uplink_mbps` or both, and optionally `rtt_ms` (blank
where not measured; the median counts). Compute files have `time_s` and `cpu_available_fraction`.
Further columns are ignored. Measurements are mended by fixed rules:

- **Gaps.** A link sample holds for the file's median step; if the next one comes more than
  `LINK_GAP_S` after that, the link was out in between. A compute sample holds until the next one:
  a missing record says that the monitor was down, not the machine.
- **One direction only.** The other is `UPLINK_PER_DOWNLINK` as fast (or its inverse).
- **Acknowledgements only.** In a download that was recorded in both directions the uplink may
  carry nothing but TCP's acknowledgements, at most one of some 52 bytes for two segments of 1448
  (RFC 5681), 1.8 %. A direction with less than `ACK_SHARE` of the other's mean therefore says
  nothing about capacity, and counts as not measured.
- **Traces of nothing.** Rates under 1 bit/s and shares under one in a million are 0: an outage, which
  ends a hop, rather than a hop that takes years.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from snakegym.errors import SnakegymError
from snakegym.network.traces import Floats, LinkTrace, Trace

LINK_GAP_S: Final = 10.0
"""Seconds beyond the median step after which a silent link counts as out."""
UPLINK_PER_DOWNLINK: Final = 0.25
"""Order of the ratio in mobile networks, where spectrum and time slots favour the downlink (a common
TDD pattern gives the uplink one slot in four or five)."""
ACK_SHARE: Final = 0.02
LOWEST_MBPS: Final = 1e-6
LOWEST_SHARE: Final = 1e-6

BPS_PER_MBPS: Final = 1e6

Bools = NDArray[np.bool_]


def read_link(path: Path) -> LinkTrace:
    """The link trace in a tidy CSV file; its name is the file's stem.

    Raises:
        SnakegymError: unreadable or empty file, missing column, or a line whose fields are missing,
            not finite, negative or not later than the line before; names file, line and reason.
    """
    table = _Table(path)
    times = table.times()
    measured = {d: table.rates(f"{d}_mbps") for d in ("uplink", "downlink") if f"{d}_mbps" in table.header}
    if not measured:
        raise table.error(
            1, f"found columns {', '.join(table.header)}, expected downlink_mbps or uplink_mbps"
        )
    rates = {d: _drop_below(r, LOWEST_MBPS) for d, r in _both_directions(measured).items()}
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    uplink, downlink = (
        Trace(path.stem, *_cut_gaps(times, rates[d] * BPS_PER_MBPS, step), float(times[-1] - times[0]) + step)
        for d in ("uplink", "downlink")
    )
    return LinkTrace(path.stem, uplink, downlink, table.rtt_s())


def read_compute(path: Path) -> Trace:
    """The compute trace in a tidy CSV file; its name is the file's stem.

    Raises:
        SnakegymError: as `read_link`, and for shares above 1.
    """
    table = _Table(path)
    share = table.numbers("cpu_available_fraction", "a number in [0, 1]", lambda v: (v >= 0) & (v <= 1))
    return Trace(path.stem, table.times(), _drop_below(share, LOWEST_SHARE))


def _drop_below(values: Floats, lowest: float) -> Floats:
    return np.where(values < lowest, 0.0, values)


def _both_directions(measured: dict[str, Floats]) -> dict[str, Floats]:
    rates = dict(measured)
    if len(rates) == 2:
        up, down = rates["uplink"].mean(), rates["downlink"].mean()
        if up < ACK_SHARE * down:
            del rates["uplink"]
        elif down < ACK_SHARE * up:
            del rates["downlink"]
    if "uplink" not in rates:
        rates["uplink"] = rates["downlink"] * UPLINK_PER_DOWNLINK
    elif "downlink" not in rates:
        rates["downlink"] = rates["uplink"] / UPLINK_PER_DOWNLINK
    return rates


def _cut_gaps(times: Floats, rates: Floats, step: float) -> tuple[Floats, Floats]:
    """Times and rates with an outage from one step after the last sample before each long gap."""
    before = np.flatnonzero(np.diff(times) > step + LINK_GAP_S)
    return np.insert(times, before + 1, times[before] + step), np.insert(rates, before + 1, 0.0)


class _Table:
    """The rows of a CSV file, and errors that name the file and the line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                rows = list(csv.reader(file))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise SnakegymError(f"{path}: cannot read the trace: {error}") from None
        while rows and not rows[-1]:
            rows.pop()
        if len(rows) < 2:
            raise SnakegymError(f"{path}: found {len(rows)} lines, expected a header and at least one sample")
        self.header = [name.strip() for name in rows[0]]
        self._rows = rows[1:]

    def error(self, line: int, reason: str) -> SnakegymError:
        return SnakegymError(f"{self.path}, line {line}: {reason}")

    def times(self) -> Floats:
        times = self.numbers("time_s", "a finite number", lambda v: np.ones(len(v), bool))
        self._check(
            "time_s",
            np.diff(times, prepend=-np.inf) > 0,
            "more than on the line before",
            self.column("time_s"),
        )
        return times

    def rates(self, name: str) -> Floats:
        return self.numbers(name, "a finite number >= 0", lambda v: v >= 0)

    def rtt_s(self) -> float | None:
        """Median of the round-trip times that are stated; None if none is."""
        if "rtt_ms" not in self.header:
            return None
        stated = [(i, text) for i, text in enumerate(self.column("rtt_ms")) if text.strip()]
        values = [self._number("rtt_ms", i, text) for i, text in stated]
        for (i, text), value in zip(stated, values, strict=True):
            if not 0 <= value < np.inf:
                raise self.error(i + 2, f"rtt_ms is '{text}', expected a finite number >= 0 or nothing")
        return float(np.median(values)) / 1000 if values else None

    def column(self, name: str) -> list[str]:
        if name not in self.header:
            raise self.error(1, f"found columns {', '.join(self.header)}, expected {name} among them")
        i = self.header.index(name)
        try:
            return [row[i] for row in self._rows]
        except IndexError:
            short = next(k for k, row in enumerate(self._rows) if len(row) <= i)
            raise self.error(
                short + 2, f"found {len(self._rows[short])} fields, expected {len(self.header)}"
            ) from None

    def numbers(self, name: str, expected: str, legal: Callable[[Floats], Bools]) -> Floats:
        """A column as finite floats for which `legal` holds."""
        texts = self.column(name)
        try:
            values = np.array([float(t) for t in texts])
        except ValueError:
            values = np.array([self._number(name, i, t) for i, t in enumerate(texts)])
        self._check(name, np.isfinite(values) & legal(values), expected, texts)
        return values

    def _number(self, name: str, row: int, text: str) -> float:
        try:
            return float(text)
        except ValueError:
            raise self.error(row + 2, f"{name} is '{text}', expected a number") from None

    def _check(self, name: str, good: Bools, expected: str, texts: list[str]) -> None:
        if not good.all():
            i = int(np.argmin(good))
            raise self.error(i + 2, f"{name} is '{texts[i]}', expected {expected}")
