"""Pensieve's cooked traces: seconds and Mbit/s, the layout of many collections for adaptive video.

No header, two fields parted by blanks: the time in seconds, with or without a fraction, and the
downlink's throughput in Mbit/s since the line before. Nothing in such a file says so: it is recognised
in a folder called link (or pensieve, or cooked_traces) if its steps are those of a throughput log.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from snakegym.network.traces.formats.base import Format, Head, Recording, in_order, rising
from snakegym.network.traces.formats.table import Table
from snakegym.network.traces.formats.tidy import stratum

STEPS_S: Final = (0.05, 60.0)
"""Median steps between which two columns are taken for seconds and Mbit/s without being told."""


def read(path: Path) -> list[Recording]:
    """The one recording of a file, called like it."""
    table = Table(path, ["time_s", "mbps"], exact=True)
    times, columns, notes = in_order(table.numbers("time_s"), {"downlink_mbps": table.rates("mbps")})
    return [Recording(path.name, times - times[0], columns, *stratum(path.stem), notes=notes)]


def _recognises(head: Head) -> bool:
    named = head.kind == "link" or head.beneath("pensieve", "cooked")
    if not named or not _resembles(head) or head.beneath("lumos5g", "lumous5g", "google"):
        return False
    step_s = float(np.median(np.diff(head.columns[:, 0]))) if head.columns is not None else 0.0
    return len(head.numbered) > 1 and STEPS_S[0] <= step_s <= STEPS_S[1]


def _resembles(head: Head) -> bool:
    rows = head.columns
    return rows is not None and len(rows) > 1 and rows.shape[1] == 2 and rising(rows[:, 0])


FORMAT = Format(
    "pensieve",
    "seconds and downlink in Mbit/s, parted by blanks, without header (cooked traces)",
    "H. Mao, R. Netravali, M. Alizadeh: Neural Adaptive Video Streaming with Pensieve, ACM SIGCOMM 2017",
    _recognises,
    read,
    resembles=_resembles,
)
