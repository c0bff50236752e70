"""Paths and texts that users give us: whatever is wrong with them is said in one line."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final, NamedTuple

from snakegym.errors import SnakegymError

MOST_BYTES: Final = 2**20
"""Of a file that a person writes: a thousand times a scenario of ours."""


TEMPORARY: Final = ".snakegym-"
"""With this begin the names of our temporary files and folders, and of nobody else's."""


class Owned(NamedTuple):
    """What a temporary file is for."""

    process: int
    """That writes it, or did."""
    name: str
    """That it is to bear."""


def temporary_name(name: str) -> str:
    """Where this process writes what is to bear that name; it ends alike, as some writers go by it."""
    return f"{TEMPORARY}{os.getpid()}-{name}"


def owner_of(name: str) -> Owned | None:
    """What `temporary_name` was given in some process; None if the name is none of its names."""
    process, _, rest = name.removeprefix(TEMPORARY).partition("-")
    ours = name.startswith(TEMPORARY) and process.isascii() and process.isdecimal() and rest
    return Owned(int(process), rest) if ours else None


def user_path(path: str | Path) -> Path:
    """The path, `~` and `~name` replaced. Raises SnakegymError for a user who is not there, or no path."""
    if not str(path):
        raise SnakegymError("found an empty path, expected the name of a file or folder")
    if "\0" in str(path):
        raise SnakegymError(f"found a path with a zero byte, {str(path)!r:.80}, expected one without")
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise SnakegymError(f"{path}: found no such user's home, expected a path that exists") from None


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; a name that no file system takes is none."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def read_text(path: Path, what: str, most_bytes: int = MOST_BYTES) -> str:
    """The UTF-8 text of a regular file.

    Args:
        path: of the file. Never waited for: a pipe or a device is refused before it is read.
        what: it is expected to be, for errors: `the scenario`.
        most_bytes: a larger file is refused after so much of it.

    Raises:
        SnakegymError: it is not there, no regular file, too large, or no UTF-8.
    """
    try:
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError("found a pipe, device or socket, expected a regular file")
            content = file.read(most_bytes + 1)
        if len(content) <= most_bytes:
            return content.decode("utf-8-sig")
        reason = f"found more than {most_bytes} bytes, expected at most that"
    except OSError as error:
        reason = error.strerror or str(error)
    except UnicodeDecodeError as error:
        reason = f"byte {error.start} is no UTF-8"
    except ValueError:
        reason = "found a zero byte in its name"
    raise SnakegymError(f"{path}: cannot read {what}: {reason}") from None
