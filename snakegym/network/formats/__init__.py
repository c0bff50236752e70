"""Readers of public trace formats, each file as its authors published it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from snakegym.errors import SnakegymError
from snakegym.network.formats import (
    irish5g,
    lumos5g,
    mahimahi,
    mnwild,
    norway3g,
    planetlab,
    tidy,
    utilisation,
)
from snakegym.network.formats.base import Format, Kind, Recording, read_head

FORMATS: Final[dict[str, Format]] = {
    module.FORMAT.name: module.FORMAT
    for module in (tidy, mahimahi, irish5g, norway3g, lumos5g, mnwild, planetlab, utilisation)
}
"""By name. To add one, write a module like these and name it here."""

__all__ = ["FORMATS", "Format", "Kind", "Recording", "find_format", "sniff"]


def find_format(name: str) -> Format:
    """The format of that name. Raises SnakegymError for an unknown one."""
    if name not in FORMATS:
        raise SnakegymError(f"unknown trace format '{name}': expected one of {', '.join(FORMATS)}")
    return FORMATS[name]


def sniff(path: Path) -> Format:
    """The format that a file is recognised as by its content.

    Raises:
        SnakegymError: unreadable or empty file, or one that looks like none of the formats or like
            several.
    """
    head = read_head(path)
    found = [f for f in FORMATS.values() if f.recognises(head)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f.name for f in found or FORMATS.values())
    if found:
        raise SnakegymError(f"{path}: looks like {names}: state which format it is")
    raise SnakegymError(f"{path}, line 1: found '{head.lines[0][:60]}', expected the start of one of {names}")
