"""Lumos5G: commercial mmWave 5G and 4G in Minneapolis, in two published layouts.

- The dataset, Lumos5G-v1.0.csv: one CSV with all runs; `run_num`, `mobility_mode` and
  `trajectory_direction` name a run, `seq_num` counts its seconds, `Throughput` is the downlink in
  Mbit/s. Every run becomes a trace; they all belong to the file's split.
- The traces of the artifact of "A Variegated Look at 5G in the Wild" (SIGCOMM 2021),
  Network-Traces/Lumous5G: no header, two fields parted by blanks, second and downlink in Mbit/s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from snakegym.network.traces.formats.base import (
    Column,
    Floats,
    Format,
    Head,
    Recording,
    in_order,
    rising,
    word,
)
from snakegym.network.traces.formats.table import Table
from snakegym.network.traces.formats.text import read_head

_ARTIFACT = r"(4g|5g)_trace_([a-z]+)"
_RUN = ("run_num", "mobility_mode", "trajectory_direction")


def read(path: Path) -> list[Recording]:
    """The recordings of a file: one, or one for each run."""
    return list(_runs(path)) if _is_dataset(read_head(path)) else [_artifact(path)]


def _artifact(path: Path) -> Recording:
    table = Table(path, ["second", "mbps"], exact=True)
    found = re.match(_ARTIFACT, path.name.lower())
    scenario = "-".join(found.groups()) if found else ""
    return _recording(path.name, table.numbers("second"), table.rates("mbps"), scenario)


def _runs(path: Path) -> Iterator[Recording]:
    table = Table(path)
    seconds, mbps = table.numbers("seq_num"), table.rates("Throughput")
    keys = list(zip(*(table.column(name) for name in _RUN), strict=True))
    for key in dict.fromkeys(keys):
        mine = np.array([k == key for k in keys])
        run, mode, way = key
        yield _recording(
            f"{path.stem}-{word(f'{mode} {way} {run}')}", seconds[mine], mbps[mine], f"5g-{word(mode)}"
        )


def _recording(name: str, seconds: Floats, mbps: Floats, scenario: str) -> Recording:
    rates: dict[Column, Floats] = {"downlink_mbps": mbps}
    times, columns, notes = in_order(seconds, rates)
    return Recording(name, times - times[0], columns, "lumos5g", scenario, notes=notes)


def _is_dataset(head: Head) -> bool:
    return head.header >= {"seq_num", "Throughput", *_RUN}


def _recognises(head: Head) -> bool:
    """The artifact's files say by their names or folders what they are; their numbers do not."""
    if _is_dataset(head):
        return True
    named = re.match(_ARTIFACT, head.path.name.lower()) or head.beneath("lumos5g", "lumous5g")
    return bool(named) and head.columns is not None and head.columns.shape[1] == 2


def _resembles(head: Head) -> bool:
    """Whole seconds and something else."""
    rows = head.columns
    return (
        rows is not None and rows.shape[1] == 2 and bool((rows[:, 0] % 1 == 0).all()) and rising(rows[:, 0])
    )


FORMAT = Format(
    "lumos5g",
    "Lumos5G-v1.0.csv (all runs), or second and Mbit/s without header (SIGCOMM 2021 artifact)",
    "A. Narayanan et al.: Lumos5G: Mapping and Predicting Commercial mmWave 5G Throughput, ACM IMC 2020; "
    "A. Narayanan et al.: A Variegated Look at 5G in the Wild, ACM SIGCOMM 2021",
    _recognises,
    read,
    resembles=_resembles,
)
