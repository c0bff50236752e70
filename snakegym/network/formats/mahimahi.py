"""Mahimahi: packet-delivery files, as recorded by Saturator.

One whole number a line: the millisecond since the start at which a packet of 1500 bytes can leave;
the number is repeated for more packets in that millisecond. The file is repeated from its last
stamp on. `NAME.up` and `NAME.down` are the two directions of one link; a file alone, or of any
other name, is a downlink (`.up`: an uplink).

Opportunities are counted second by second. What follows the last whole second is left out: it says
nothing about a second. A file shorter than one second states one constant rate.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np

from snakegym.network.formats.base import Column, Floats, Format, Head, Recording, Table, word

PACKET_MBIT: Final = 1500 * 8 / 1e6


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
    """Whole numbers that never fall; up to 100 they might be percentages: then the suffix decides."""
    rows = head.numbers()
    if not rows or any(len(row) != 1 for row in rows):
        return False
    stamps = [row[0] for row in rows]
    if any(not s.is_integer() for s in stamps) or any(b < a for a, b in pairwise(stamps)):
        return False
    return stamps[-1] > 100 or head.path.suffix in (".up", ".down")


FORMAT = Format(
    "mahimahi",
    "packet-delivery opportunities, one millisecond stamp a line, NAME.down and NAME.up",
    "K. Winstein, A. Sivaraman, H. Balakrishnan: Stochastic Forecasts Achieve High Throughput and Low Delay "
    "over Cellular Networks, NSDI 2013; R. Netravali et al.: Mahimahi: Accurate Record-and-Replay for HTTP, "
    "USENIX ATC 2015",
    _recognises,
    read,
    companions,
)
