"""Tidy CSV: this package's own layout, one file a trace.

A header, then one row a sample, unevenly spaced as measured. Links: `time_s` and `downlink_mbps`,
`uplink_mbps` or both, and optionally `rtt_ms` (blank where not measured). Compute: `time_s` and
`cpu_available_fraction`, in [0, 1]. Further columns are ignored; times must increase.

A file called SOURCE_SCENARIO_ID.csv (the middle may be missing or have several parts) says by its
name which stratum it belongs to; what follows a hyphen within a part of the scenario is detail:
`norway3g_bus-ljansbakken-oslo_2010-09-28.csv` was measured on a `bus` by `norway3g`.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from snakegym.network.traces.formats.base import COLUMNS, Column, Floats, Format, Head, Recording
from snakegym.network.traces.formats.table import Table
from snakegym.network.traces.formats.text import shown


def read(path: Path) -> list[Recording]:
    """The one recording of a file, called like it."""
    table = Table(path)
    times = table.numbers("time_s")
    table.check("time_s", np.diff(times, prepend=-np.inf) > 0, "more than on the line before")
    source, scenario = stratum(path.stem)
    rtt_ms = table.median("rtt_ms") if "rtt_ms" in table.header else None
    return [Recording(path.stem, times, _values(table), source, scenario, rtt_ms)]


def _values(table: Table) -> dict[Column, Floats]:
    rates: tuple[Column, ...] = ("uplink_mbps", "downlink_mbps")
    measured: dict[Column, Floats] = {c: table.rates(c) for c in rates if c in table.header}
    if measured:
        return measured
    share: Column = "cpu_available_fraction"
    if share not in table.header:
        raise table.error(
            -1,
            f"found columns {shown(', '.join(table.header))}, expected downlink_mbps, uplink_mbps or {share}",
        )
    return {share: table.numbers(share, lambda v: (v >= 0) & (v <= 1), "a number in [0, 1]")}


def stratum(stem: str) -> tuple[str, str]:
    """Source and scenario that a file's name states."""
    parts = stem.split("_")
    if len(parts) == 1:
        return re.sub(r"[-.\d]+$", "", stem) or stem, ""
    return parts[0], "-".join(part.partition("-")[0] for part in parts[1:-1])


def _recognises(head: Head) -> bool:
    return "time_s" in head.header and not head.header.isdisjoint(COLUMNS)


FORMAT = Format(
    "tidy", "CSV with time_s and downlink_mbps, uplink_mbps or cpu_available_fraction", "", _recognises, read
)
