"""PlanetLab CPU utilisation, as CloudSim ships it: one virtual machine and day a file.

One whole percentage a line, every five minutes, without time stamps; a folder for each day
(20110303). What is not used is free: the share available is 1 - percentage / 100.
"""

from __future__ import annotations

import re
from pathlib import Path

from snakegym.network.traces.formats.base import Format, Head, Recording
from snakegym.network.traces.formats.utilisation import free_share, mostly_percentages


def read(path: Path) -> list[Recording]:
    """The one recording of a file, called like it."""
    day = path.parent.name
    return [free_share(path, "planetlab", day if day.isdigit() else "")]


def _recognises(head: Head) -> bool:
    """A column of whole numbers in a folder called planetlab, compute or, as published, by its day."""
    rows = head.columns
    if rows is None or rows.shape[1] != 1 or head.path.suffix in (".up", ".down"):
        return False
    known = head.beneath("planetlab") or re.fullmatch(r"20\d{6}", head.path.parent.name)
    return (bool(known) or head.kind == "compute") and mostly_percentages(rows[:, 0], whole=True)


def _resembles(head: Head) -> bool:
    rows = head.columns
    return rows is not None and rows.shape[1] == 1 and mostly_percentages(rows[:, 0], whole=True)


FORMAT = Format(
    "planetlab",
    "whole percentages of CPU used, one a line, every 5 minutes",
    "K. Park, V. S. Pai: CoMon: A Mostly-Scalable Monitoring System for PlanetLab, ACM SIGOPS OSR 2006; "
    "A. Beloglazov, R. Buyya: Optimal Online Deterministic Algorithms and Adaptive Heuristics for Energy and "
    "Performance Efficient Dynamic Consolidation of Virtual Machines in Cloud Data Centers, CCPE 2012",
    _recognises,
    read,
    resembles=_resembles,
)
