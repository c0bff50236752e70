"""Norway's 3G logs: bulk downloads over HSDPA in Oslo's buses, trams, metro, ferries, trains and cars.

No header; six fields parted by blanks: Unix time in s, a running clock in ms, latitude, longitude,
bytes received since the last row, and the ms that took. The rate is bytes by time; the stamp is the
Unix time. The published tree states the route: bus.ljansbakken-oslo/report.2010-09-28_1407CEST.log.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snakegym.network.traces.formats.base import Format, Head, Recording, in_order
from snakegym.network.traces.formats.table import Table

_MEANS = ("bus", "car", "ferry", "metro", "train", "tram")


def read(path: Path) -> list[Recording]:
    """The one recording of a file, called like it."""
    table = Table(path, ["unix_s", "clock_ms", "latitude", "longitude", "bytes", "elapsed_ms"], exact=True)
    elapsed_ms = table.numbers("elapsed_ms", lambda v: v > 0, "a finite number > 0")
    mbps = table.rates("bytes") * 8 / elapsed_ms / 1000
    times, columns, notes = in_order(table.numbers("unix_s"), {"downlink_mbps": mbps})
    means = (folder.partition(".")[0].partition("_")[0].lower() for folder in reversed(path.parts[:-1]))
    scenario = next((m for m in means if m in _MEANS), "")
    return [Recording(path.stem, times - times[0], columns, "norway3g", scenario, notes=notes)]


def _recognises(head: Head) -> bool:
    """Six numbers, the first of them Unix times, the last but one and the last whole and not below 0."""
    rows = head.columns
    if rows is None or rows.shape[1] != 6:
        return False
    usual = np.median(rows, axis=0)
    return bool(1e9 <= usual[0] < 1e10 and (usual[4:] >= 0).all() and (usual[4:] % 1 == 0).all())


FORMAT = Format(
    "norway-3g",
    "log with Unix time, clock in ms, latitude, longitude, bytes and ms since the last row",
    "H. Riiser, P. Vigmostad, C. Griwodz, P. Halvorsen: Commute Path Bandwidth Traces from 3G Networks: "
    "Analysis and Applications, ACM MMSys 2013",
    _recognises,
    read,
)
