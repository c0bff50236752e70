"""Readers of public trace formats, each file as its authors published it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from snakegym.errors import SnakegymError
from snakegym.network.traces.formats import (
    irish5g,
    lumos5g,
    mahimahi,
    mnwild,
    norway3g,
    pensieve,
    planetlab,
    tidy,
    units,
    utilisation,
)
from snakegym.network.traces.formats.base import Format, Head, Kind, Recording
from snakegym.network.traces.formats.text import read_head, shown

FORMATS: Final[dict[str, Format]] = {
    module.FORMAT.name: module.FORMAT
    for module in (
        tidy,
        mahimahi,
        irish5g,
        norway3g,
        lumos5g,
        mnwild,
        pensieve,
        planetlab,
        utilisation,
        units,
    )
}
"""By name. To add one, write a module like these and name it here."""

__all__ = ["FORMATS", "Format", "Kind", "Recording", "find_format", "find_formats", "sniff"]


def find_format(name: str) -> Format:
    """The format of that name. Raises SnakegymError for an unknown one."""
    if name not in FORMATS:
        raise SnakegymError(f"unknown trace format '{name}': expected one of {', '.join(FORMATS)}")
    return FORMATS[name]


def find_formats(names: str) -> tuple[Format, ...]:
    """The formats of these names, which are parted by `|`. Raises SnakegymError for an unknown one."""
    return tuple(find_format(name.strip()) for name in names.split("|"))


def sniff(path: Path, stated: Sequence[Format] = ()) -> Format:
    """The format that a file has beyond doubt, by its content, its name or the folder it is in.

    Args:
        path: the file.
        stated: somebody said that it is one of these.

    Raises:
        SnakegymError: unreadable or empty file, or one that looks like none of the formats, like
            several, or like one whose numbers say neither what they are nor in which unit.
    """
    if len(stated) == 1:
        return stated[0]
    head = read_head(path)
    if stated:
        return _among(head, stated)
    found = [f for f in FORMATS.values() if f.recognises(head)]
    if len(found) == 1:
        return found[0]
    if not found and "time_s" in head.header:
        return tidy.FORMAT  # which says what is missing
    alike = ", ".join(f.name for f in found or [f for f in FORMATS.values() if f.resembles(head)])
    if alike:
        raise SnakegymError(
            f"{path}: nothing says what these numbers are and in which unit: state --format (it looks like "
            f"{alike}), move it to a folder called link or compute, or write it as tidy CSV (docs/traces.md)"
        )
    raise SnakegymError(
        f"{path}, line {head.numbered[0][0]}: found {shown(head.first)}, expected the start of one of "
        f"{', '.join(FORMATS)}; write other layouts as tidy CSV (docs/traces.md), or state --format"
    )


def _among(head: Head, stated: Sequence[Format]) -> Format:
    found = [f for f in stated if f.recognises(head)] or [f for f in stated if f.resembles(head)]
    if len(found) == 1:
        return found[0]
    alike, names = " and ".join(f.name for f in found) or "none", ", ".join(f.name for f in stated)
    line = head.numbered[0][0]
    raise SnakegymError(
        f"{head.path}, line {line}: found {shown(head.first)}, which looks like {alike} of the formats "
        f"stated ({names}), expected one"
    )
