"""Text files of traces: their first lines, all their lines, and nothing that has no end."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from snakegym.errors import SnakegymError
from snakegym.network.traces.formats.base import Head

MOST_BYTES: Final = 2**30
"""Of a file; a larger one is refused before it is read."""
_HEAD_BYTES: Final = 65536


def read_head(path: Path) -> Head:
    """The first lines of a text file. Raises SnakegymError if it cannot be read, is empty or no text."""
    start = read_bytes(path, _HEAD_BYTES)
    text = _decoded(path, start, errors="strict" if len(start) < _HEAD_BYTES else "ignore")
    if not text.strip():
        raise SnakegymError(f"{path}: found an empty file, expected a trace")
    lines = text.split("\n")
    if len(start) == _HEAD_BYTES:
        lines.pop()
    if not any(map(str.strip, lines)):
        raise SnakegymError(f"{path}: found {_HEAD_BYTES} bytes without a line end, expected lines")
    return Head(path, tuple((i, line.rstrip("\r")) for i, line in enumerate(lines, 1) if line.strip()))


def read_lines(path: Path) -> list[str]:
    """All lines of a text file without their ends; blank ones at the end are dropped.

    Raises:
        SnakegymError: unreadable, empty, or without a line end after the last line: every writer of
            these formats ends its lines, so the file was cut off.
    """
    lines = _decoded(path, read_bytes(path)).split("\n")
    if lines.pop():
        raise SnakegymError(
            f"{path}, line {len(lines) + 1}: the last line has no line end, so the file seems cut off "
            "(if it is whole, add one)"
        )
    lines = [line.rstrip("\r") for line in lines]
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def read_bytes(path: Path, most: int = -1) -> bytes:
    """The content of a regular file, or its first `most` bytes.

    Raises:
        SnakegymError: unreadable; a device or pipe, which may have no end; or larger than `MOST_BYTES`.
    """
    try:
        # A pipe without a writer would never open.
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise SnakegymError(f"{path}: found a folder, device or pipe, expected a regular file")
            if status.st_size > MOST_BYTES:
                raise SnakegymError(
                    f"{path}: found {status.st_size} bytes, expected at most {MOST_BYTES} of a trace"
                )
            return file.read(most)
    except OSError as error:
        raise SnakegymError(f"{path}: cannot read the trace: {error.strerror or error}") from None


def shown(text: str) -> str:
    """A text from a file, in quotes, on one line and not too long."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _decoded(path: Path, content: bytes, errors: str = "strict") -> str:
    try:
        return content.decode("utf-8-sig", errors)
    except UnicodeDecodeError as error:
        raise SnakegymError(f"{path}: cannot read the trace: {error}") from None
