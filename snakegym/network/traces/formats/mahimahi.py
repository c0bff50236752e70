"""Mahimahi: packet-delivery files, as recorded by Saturator.

One whole number a line: the millisecond since the start at which a packet of 1500 bytes can leave;
the number is repeated for more packets in that millisecond. The file is repeated from its last
stamp on. `NAME.up` and `NAME.down` are the two directions of one link; a file alone, or of any
other name, is a downlink (`.up`: an uplink).

Opportunities are counted second by second. What follows the last whole second is left out: it says
nothing about a second. A file shorter than one second states one constant rate.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from snakegym.network.traces.formats.base import Column, Floats, Format, Head, Recording, rising, word
from snakegym.network.traces.formats.table import Table

PACKET_MBIT: Final = 1500 * 8 / 1e6
LONGEST_MS: Final = 31 * 86_400_000
"""A stamp beyond a month is no time in a trace."""
LATEST_START_MS: Final = 600_000
"""A file whose first stamp comes later is not recognised: it counts something else, such as Unix time."""


def read(path: Path) -> list[Recording]:
    """The one recording of a file and its companion, cut to their common length."""
    files = (path, *companions(path))
    rates = {_direction(file): _per_second(file) for file in files}
    length = min(map(len, rates.values()))
    columns: dict[Column, Floats] = {c: r[:length] for c, r in rates.items()}
    name = path.stem if path.suffix in (".up", ".down") else path.name
    scenario = next((w for w in reversed(word(name).split("-")) if w in _MOTIONS), "")
    return [Recording(name, np.arange(float(length)), columns, "mahimahi", scenario, period_s=float(length))]


def companions(path: Path) -> tuple[Path, ...]:
    """The uplink that belongs to a downlink."""
    up = path.with_suffix(".up")
    return (up,) if path.suffix == ".down" and up.is_file() else ()


def _per_second(path: Path) -> Floats:
    """Mbit/s in each whole second."""
    table = Table(path, ["stamp"], exact=True)
    stamps = table.numbers("stamp", lambda v: (v >= 0) & (v == np.floor(v)), "a whole number of ms >= 0")
    table.check("stamp", np.diff(stamps, prepend=0) >= 0, "no less than on the line before")
    table.check("stamp", stamps <= LONGEST_MS, f"at most {LONGEST_MS} ms, a month")
    end = stamps[-1]
    if end == 0:
        raise table.error(len(stamps) - 1, "the last stamp is 0 ms, expected the length of the trace")
    if end < 1000:
        return np.array([len(stamps) * PACKET_MBIT / (end / 1000)])
    whole = int(end // 1000)
    # An opportunity at the very end is the first of the repetition, which starts there.
    counts = np.bincount(stamps[stamps < 1000 * whole].astype(np.int64) // 1000, minlength=whole)
    return counts.astype(np.float64) * PACKET_MBIT


def _direction(path: Path) -> Column:
    return "uplink_mbps" if path.suffix == ".up" else "downlink_mbps"


_MOTIONS: Final = ("driving", "walking", "static", "stationary", "bus", "train")


def _recognises(head: Head) -> bool:
    """By the suffix; or whole numbers that rise beyond 100, so no percentages, from near 0, so no clock."""
    rows = head.columns
    if rows is None or rows.shape[1] != 1:
        return False
    return head.path.suffix in (".up", ".down") or (_stamps(rows[:, 0]) and rows[-1, 0] > 100)


def _resembles(head: Head) -> bool:
    return head.columns is not None and head.columns.shape[1] == 1 and _stamps(head.columns[:, 0])


def _stamps(values: Floats) -> bool:
    whole = int((values % 1 != 0).sum()) <= len(values) // 20
    return whole and 0 <= values[0] <= LATEST_START_MS and rising(values)


FORMAT = Format(
    "mahimahi",
    "packet-delivery opportunities, one millisecond stamp a line, NAME.down and NAME.up",
    "K. Winstein, A. Sivaraman, H. Balakrishnan: Stochastic Forecasts Achieve High Throughput and Low Delay "
    "over Cellular Networks, NSDI 2013; R. Netravali et al.: Mahimahi: Accurate Record-and-Replay for HTTP, "
    "USENIX ATC 2015",
    _recognises,
    read,
    companions,
    _resembles,
)
