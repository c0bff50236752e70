"""Plain utilisation series: one machine a file, a percentage of CPU used a line, every five minutes.

Further fields of a line, parted by blanks, are ignored (memory, in the series that were made from
Google's cluster trace of 2011). No header and no time stamps.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from snakegym.network.formats.base import STAMP_STEP_S, Column, Floats, Format, Head, Recording, Table


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


def _recognises(head: Head) -> bool:
    """Percentages with a fraction somewhere, in a first column that falls somewhere."""
    rows = head.numbers()
    if not rows or not all(0 <= row[0] <= 100 for row in rows):
        return False
    used = [row[0] for row in rows]
    fractional = any(not v.is_integer() for v in used)
    return fractional and (len(used) == 1 or any(b < a for a, b in pairwise(used)))


FORMAT = Format(
    "utilisation",
    "percentages of CPU used, one a line, every 5 minutes; further fields are ignored",
    "C. Reiss, J. Wilkes, J. L. Hellerstein: Google Cluster-Usage Traces: Format + Schema, 2011 (the series "
    "per virtual machine: HiPro-IT, CPU-and-Memory-resource-usage-from-Google-Cluster-Data)",
    _recognises,
    read,
)
