"""MN-Wild: bulk transfers with iPerf on commercial 5G, walking, logged with signal and power.

CSV, one file a run, with, among others, `timestamp` (2021-01-23 12:40:19), `Throughput` in Mbit/s,
the `direction` that was measured, `provider` and `radio_type_used`. `downlink_mbps` and
`uplink_mbps` of these files are the phone's own counters, of both directions: in the other one
than the measured they show acknowledgements alone, so iPerf's throughput is the one that counts.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np

from snakegym.network.traces.formats.base import Column, Format, Head, Recording, in_order, word
from snakegym.network.traces.formats.table import Table
from snakegym.network.traces.formats.text import shown

_DIRECTIONS: dict[str, Column] = {"downlink": "downlink_mbps", "uplink": "uplink_mbps"}


def read(path: Path) -> list[Recording]:
    """The one recording of a file, called like it."""
    table = Table(path)
    stamps = np.array([_seconds(table, i, text) for i, text in enumerate(table.column("timestamp"))])
    direction = _only(table, "direction")
    if direction not in _DIRECTIONS:
        raise table.error(0, f"direction is {shown(direction)}, expected downlink or uplink")
    times, columns, notes = in_order(stamps, {_DIRECTIONS[direction]: table.rates("Throughput")})
    scenario = word(f"{_only(table, 'provider')} {_only(table, 'radio_type_used')} {direction}")
    return [Recording(path.stem, times - times[0], columns, "mnwild", scenario, notes=notes)]


def _only(table: Table, name: str) -> str:
    """The value that a column has throughout."""
    texts = table.column(name)
    for i, text in enumerate(texts):
        if text != texts[0]:
            raise table.error(
                i, f"{name} is {shown(text)}, expected {shown(texts[0])} as on the first line: one run a file"
            )
    return texts[0]


def _seconds(table: Table, row: int, text: str) -> float:
    try:
        # No time zone is stated, and only differences count.
        return (datetime.fromisoformat(text.strip()) - datetime(1970, 1, 1)).total_seconds()
    except (ValueError, TypeError):
        raise table.error(
            row, f"timestamp is {shown(text)}, expected a time like 2021-01-23 12:40:19"
        ) from None


def _recognises(head: Head) -> bool:
    return head.header >= {"timestamp", "Throughput", "direction", "radio_type_used"}


FORMAT = Format(
    "mn-wild",
    "CSV of one iPerf run with timestamp, Throughput, direction, provider, radio_type_used",
    "A. Narayanan et al.: A Variegated Look at 5G in the Wild: Performance, Power, and QoE Implications, "
    "ACM SIGCOMM 2021",
    _recognises,
    read,
)
