"""CSV whose column names state their units, as many tools and artifacts write it.

Parted by commas, semicolons or tabs. Times: `time_s`, `elapsed_ms`, `seconds` and the like, `seq_num`
(a second each), or `timestamp` as an ISO date or Unix time. Rates: any name that ends in `mbps`, `kbps`
or `bps` and says what it is: throughput, bandwidth, downlink, uplink, rx, tx and so on; a direction that
is not stated is the downlink. Compute: a name with `cpu` in it that ends in `percent`, `%` or `fraction`;
it is the share used unless it says idle, free or available. `radio_type`, if it is always the same, is
the scenario.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from snakegym.network.traces.formats.base import (
    COLUMNS,
    Column,
    Floats,
    Format,
    Head,
    Recording,
    in_order,
    word,
)
from snakegym.network.traces.formats.table import Table
from snakegym.network.traces.formats.text import read_head, shown
from snakegym.network.traces.formats.tidy import stratum

_SECONDS: Final = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "second": 1.0, "ms": 1e-3, "milliseconds": 1e-3}
_MBPS: Final = {"gbps": 1e3, "mbps": 1.0, "kbps": 1e-3, "bps": 1e-6}
_SHARES: Final = {"percent": 0.01, "pct": 0.01, "fraction": 1.0}
_CLOCKS: Final = ("", "time", "timestamp", "t", "elapsed", "elapsed_time")
_UP: Final = {"ul", "up", "uplink", "upload", "tx", "sent"}
_DOWN: Final = {"dl", "down", "downlink", "download", "rx", "received"}
_EITHER: Final = {"throughput", "bandwidth", "bw", "rate", "bitrate", "goodput", "capacity"}
_FREE: Final = {"idle", "free", "available", "availability"}
_UNIX_S: Final = (1e9, 1e10)
"""Unix times in s from 2001 on; in ms they are a thousand times as large."""


def read(path: Path) -> list[Recording]:
    """The one recording of a file, called like it."""
    table = Table(path, delimiter=_delimiter(read_head(path).first))
    times, notes = _times(table), []
    values: dict[Column, Floats] = {}
    for name in table.header:
        column = column_of(name)
        if column is None:
            continue
        if column in values:
            raise table.error(-1, f"found two columns of {column}, expected one: {shown(name)} is the second")
        values[column] = _values(table, name, column)
        if column == "downlink_mbps" and not _words(name) & _DOWN:
            notes.append(f"{name} states no direction, taken as the downlink")
    if len({"cpu" in c for c in values}) > 1:
        raise table.error(-1, "found rates and CPU, expected a link or a machine")
    stamps, columns, more = in_order(times, values)
    source, scenario = stratum(path.stem)
    radios = set(table.column("radio_type")) if "radio_type" in table.header else set()
    scenario = word(radios.pop()) if len(radios) == 1 else scenario
    return [Recording(path.stem, stamps - stamps[0], columns, source, scenario, notes=(*notes, *more))]


def column_of(name: str) -> Column | None:
    """What a column of this name holds, if it is a rate or a share of CPU."""
    stem, unit = _parted(name, (*_MBPS, *_SHARES))
    words = set(stem.split("_"))
    if unit in _SHARES:
        return "cpu_available_fraction" if "cpu" in words else None
    if unit in _MBPS and words & _UP and not words & _DOWN:
        return "uplink_mbps"
    return "downlink_mbps" if unit in _MBPS and words & (_DOWN | _EITHER) and not words & _UP else None


def _values(table: Table, name: str, column: Column) -> Floats:
    _, unit = _parted(name, (*_MBPS, *_SHARES))
    if column != "cpu_available_fraction":
        return table.rates(name) * _MBPS[unit]
    scale, whole = _SHARES[unit], 1 / _SHARES[unit]
    share = scale * table.numbers(name, lambda v: (v >= 0) & (v <= whole), f"a number from 0 to {whole:g}")
    return share if _words(name) & _FREE else 1 - share


def _times(table: Table) -> Floats:
    clocks = [name for name in table.header if _is_clock(name)]
    if len(clocks) != 1:
        raise table.error(
            -1,
            f"found {len(clocks)} columns of times ({', '.join(map(shown, clocks)) or 'none'}), expected one "
            "with its unit, such as time_s",
        )
    name = clocks[0]
    _, unit = _parted(name, _SECONDS)
    if unit:
        times = table.numbers(name)
        if unit.startswith("m") and _within(times, *_UNIX_S):
            raise table.error(0, f"{name} is {times[0]:.0f}, a Unix time in seconds, expected milliseconds")
        return times * _SECONDS[unit]
    if name == "seq_num":
        times = table.numbers(name)
        table.check(
            name, np.diff(times, prepend=times[0]) >= 0, "no less than on the line before: one run a file"
        )
        return times
    return np.array([_date(table, name, i, text) for i, text in enumerate(table.column(name))])


def _date(table: Table, name: str, row: int, text: str) -> float:
    """Seconds since 1970 of an ISO date or a Unix time; no time zone matters, only differences count."""
    try:
        date = datetime.fromisoformat(text.strip())
        return (date - datetime(1970, 1, 1, tzinfo=UTC if date.tzinfo else None)).total_seconds()
    except ValueError:
        number = table.number(name, row, text)
    for scale in (1.0, 1e-3):
        if _UNIX_S[0] <= number * scale < _UNIX_S[1]:
            return number * scale
    raise table.error(
        row, f"{name} is {shown(text)}, which states no unit: expected a date, or a name like time_s"
    )


def _within(values: Floats, low: float, high: float) -> bool:
    return bool(((values >= low) & (values < high)).all())


def _is_clock(name: str) -> bool:
    stem, unit = _parted(name, _SECONDS)
    return (bool(unit) and stem in _CLOCKS) or stem in ("timestamp", "datetime") or name == "seq_num"


def _parted(name: str, units: Iterable[str]) -> tuple[str, str]:
    """The name of a column, in lower case and with underscores, and its unit; no unit: none of these."""
    plain = name.lower().replace("%", " percent ").replace("mbit/s", "mbps").replace("kbit/s", "kbps")
    stem, _, unit = "_".join(re.findall(r"[a-z0-9]+", plain)).rpartition("_")
    return (stem, unit) if unit in units else (f"{stem}_{unit}".lstrip("_"), "")


def _words(name: str) -> set[str]:
    return set(_parted(name, ())[0].split("_"))


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)


def _names(head: Head) -> list[str]:
    return [name.strip().strip('"') for name in head.first.split(_delimiter(head.first))]


def _recognises(head: Head) -> bool:
    if head.header >= {"time_s"} and not head.header.isdisjoint(COLUMNS):
        return False  # tidy
    if "Throughput" in head.header or "DL_bitrate" in head.header:
        return False  # of a published dataset
    names = _names(head)
    return any(map(_is_clock, names)) and any(map(column_of, names))


FORMAT = Format(
    "csv-units",
    "CSV whose names state their units: time_s or seq_num, throughput_mbps, cpu_percent and the like",
    "",
    _recognises,
    read,
)
