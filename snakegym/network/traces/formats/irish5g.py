"""Irish 5G production dataset: logs of G-NetTrack Pro, about one row a second.

CSV with, among others, `Timestamp` (2019.12.14_10.16.30, whole seconds, some twice), `DL_bitrate`
and `UL_bitrate` in kbit/s, and `PINGAVG` in ms ('-' where not measured). The published tree,
Download/Driving, Netflix/Static and so on, states the scenario. Only the bulk downloads measure what
a link can carry; video sessions are limited by the player.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np

from snakegym.network.traces.formats.base import Format, Head, Recording, folder_words, in_order
from snakegym.network.traces.formats.table import Table
from snakegym.network.traces.formats.text import shown

_FOLDERS = ("download", "netflix", "amazon-prime", "driving", "static")
_STAMP = "%Y.%m.%d_%H.%M.%S"


def read(path: Path) -> list[Recording]:
    """The one recording of a file, called like it."""
    table = Table(path)
    times, columns, notes = in_order(
        np.array([_seconds(table, i, text) for i, text in enumerate(table.column("Timestamp"))]),
        {"uplink_mbps": table.rates("UL_bitrate") / 1000, "downlink_mbps": table.rates("DL_bitrate") / 1000},
    )
    scenario = "-".join(folder_words(path, _FOLDERS))
    rtt_ms = table.median("PINGAVG", missing="-") if "PINGAVG" in table.header else None
    return [Recording(path.stem, times - times[0], columns, "irish5g", scenario, rtt_ms, notes=notes)]


def _seconds(table: Table, row: int, text: str) -> float:
    try:
        # No time zone is stated, and only differences count.
        return (datetime.strptime(text.strip(), _STAMP) - datetime(1970, 1, 1)).total_seconds()
    except ValueError:
        raise table.error(
            row, f"Timestamp is {shown(text)}, expected a time like 2019.12.14_10.16.30"
        ) from None


def _recognises(head: Head) -> bool:
    return head.header >= {"Timestamp", "DL_bitrate", "UL_bitrate"}


FORMAT = Format(
    "irish-5g",
    "CSV of G-NetTrack Pro with Timestamp, DL_bitrate, UL_bitrate (kbit/s), PINGAVG",
    "D. Raca, D. Leahy, C. J. Sreenan, J. J. Quinlan: Beyond Throughput, the Next Generation: a 5G Dataset "
    "with Channel and Context Metrics, ACM MMSys 2020",
    _recognises,
    read,
)
