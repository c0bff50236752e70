"""Plain utilisation series: one machine a file, a percentage of CPU used a line, every five minutes.

Further fields of a line, parted by blanks, are ignored (memory, in the series that were made from
Google's cluster trace of 2011). No header and no time stamps.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from snakegym.network.traces.formats.base import STAMP_STEP_S, Column, Floats, Format, Head, Recording
from snakegym.network.traces.formats.table import Table


def read(path: Path) -> list[Recording]:
    """The one recording of a file, called like it."""
    return [free_share(path, "utilisation", "")]


def free_share(path: Path, source: str, scenario: str) -> Recording:
    """The share of the CPU that a series of percentages leaves free."""
    table = Table(path, ["cpu_percent"])
    used = table.numbers("cpu_percent", lambda v: (v >= 0) & (v <= 100), "a percentage, 0 to 100")
    n = len(used)
    columns: dict[Column, Floats] = {"cpu_available_fraction": 1 - used / 100}
    return Recording(
        path.name, np.arange(float(n)) * STAMP_STEP_S, columns, source, scenario, period_s=n * STAMP_STEP_S
    )


def mostly_percentages(values: Floats, whole: bool) -> bool:
    """Whether these are numbers up to 100, all whole or not all, but for one in twenty: a mistake."""
    n = len(values)
    beyond = int(((values < 0) | (values > 100)).sum())
    fractional = int((values % 1 != 0).sum())
    return beyond <= max(1, n // 20) and 2 * beyond < n and (fractional <= n // 20) == whole


def _recognises(head: Head) -> bool:
    """A first column of fractional numbers in a file called vm_1_2, or in a folder called google or compute.

    Numbers up to 1 could be shares as well as percentages.
    """
    rows = head.columns
    if rows is None or head.path.suffix in (".up", ".down"):
        return False
    if re.fullmatch(r"vm_\d+_\d+", head.path.name) or head.beneath("google"):
        return True
    used = rows[:, 0]
    return head.kind == "compute" and mostly_percentages(used, whole=False) and bool(used.max() > 1)


def _resembles(head: Head) -> bool:
    return head.columns is not None and mostly_percentages(head.columns[:, 0], whole=False)


FORMAT = Format(
    "utilisation",
    "percentages of CPU used, one a line, every 5 minutes; further fields are ignored",
    "C. Reiss, J. Wilkes, J. L. Hellerstein: Google Cluster-Usage Traces: Format + Schema, 2011 (the series "
    "per virtual machine: HiPro-IT, CPU-and-Memory-resource-usage-from-Google-Cluster-Data)",
    _recognises,
    read,
    resembles=_resembles,
)
