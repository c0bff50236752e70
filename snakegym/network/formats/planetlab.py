"""PlanetLab CPU utilisation, as CloudSim ships it: one virtual machine and day a file.

One whole percentage a line, every five minutes, without time stamps; a folder for each day
(20110303). What is not used is free: the share available is 1 - percentage / 100.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from snakegym.network.formats.base import Format, Head, Recording
from snakegym.network.formats.utilisation import free_share


def read(path: Path) -> list[Recording]:
    """The one recording of a file, called like it."""
    day = path.parent.name
    return [free_share(path, "planetlab", day if day.isdigit() else "")]


def _recognises(head: Head) -> bool:
    """Whole percentages that fall somewhere or never change: stamps of packets only rise."""
    rows = head.numbers()
    if not rows or head.path.suffix in (".up", ".down") or any(len(row) != 1 for row in rows):
        return False
    values = [row[0] for row in rows]
    if not all(0 <= v <= 100 and v.is_integer() for v in values):
        return False
    falls = any(b < a for a, b in pairwise(values))
    return falls or (len(values) >= 10 and values[0] == values[-1])


FORMAT = Format(
    "planetlab",
    "whole percentages of CPU used, one a line, every 5 minutes",
    "K. Park, V. S. Pai: CoMon: A Mostly-Scalable Monitoring System for PlanetLab, ACM SIGOPS OSR 2006; "
    "A. Beloglazov, R. Buyya: Optimal Online Deterministic Algorithms and Adaptive Heuristics for Energy and "
    "Performance Efficient Dynamic Consolidation of Virtual Machines in Cloud Data Centers, CCPE 2012",
    _recognises,
    read,
)
