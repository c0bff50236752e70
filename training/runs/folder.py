"""Folders that a command writes: never another's, never half a file.

Every file is written beside its place and moved there in one step, so a kill leaves the old file
or the new one.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from snakegym.differences import brief, differences
from snakegym.errors import SnakegymError

HIDDEN = ".lock"


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well.

    Raises:
        SnakegymError: the file cannot be written: no such folder, no right to, disk full, and so on.
    """
    # Same suffix: some writers (SB3, matplotlib) go by it.
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise SnakegymError(f"{path}: cannot write this file: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a whole text file in one step."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_json(path: Path, data: Any, indent: int | None = 2) -> None:
    """Write a JSON file in one step; NaN is refused, as it is no JSON."""
    write_text(path, json.dumps(data, indent=indent, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises SnakegymError if it is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SnakegymError(f"{path}: cannot read it as JSON: {error}") from None


def existing_files(folder: Path) -> list[str]:
    """Names in the folder, sorted; empty if it does not exist. Raises SnakegymError if it is a file.

    What a killed command left of a temporary file is not counted.
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SnakegymError(f"{folder}: {error.strerror or error}, expected a folder to write to") from None
    return sorted(n for n in names if n != HIDDEN and not _is_temporary(n))


def remove_leftovers(folder: Path) -> None:
    """Remove what killed commands left of their temporary files; the caller holds the folder's lock.

    Raises:
        SnakegymError: one of them cannot be removed.
    """
    for path in folder.iterdir():
        if _is_temporary(path.name) and path.is_file():
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise SnakegymError(
                    f"{path}: cannot remove this leftover: {error.strerror or error}"
                ) from None


def check_results(out: Path, what: str, files: Sequence[str], request: Mapping[str, Any]) -> None:
    """Whether a command may write its results to this folder; touches nothing.

    Args:
        out: the folder.
        what: the results are called.
        files: their names; the first is a JSON file that says under `request` what was asked for.
        request: what is asked for now.

    Raises:
        SnakegymError: it holds the results of another request, or something else.
    """
    found = existing_files(out)
    strange = [name for name in found if name not in files]
    if strange:
        raise SnakegymError(
            f"{out}: found {strange[0]} in it, expected a new or empty folder, or one of the same {what}"
        )
    if files[0] in found:
        before = read_json(out / files[0])
        asked = before.get("request") if isinstance(before, dict) else None
        difference = first_difference(request, asked)
        if difference:
            raise SnakegymError(f"{out}: holds another {what}: {difference}; choose another --out")


def make_folder(folder: Path) -> None:
    """Create the folder and its parents. Raises SnakegymError if that is impossible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SnakegymError(f"{folder}: cannot create this folder: {error.strerror or error}") from None


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder against other commands; a kill releases it. Raises SnakegymError if it is held."""
    try:
        import fcntl
    except ImportError:  # no such locks on this system: go without
        yield
        return
    try:
        file: IO[str] = (folder / HIDDEN).open("w")
    except OSError as error:
        raise SnakegymError(f"{folder}: cannot write to this folder: {error.strerror or error}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SnakegymError(f"{folder}: another snakegym command is writing to this folder") from None
        try:
            yield
        finally:
            (folder / HIDDEN).unlink(missing_ok=True)


def first_difference(found: Any, expected: Any) -> str | None:
    """Where two JSON values differ first, as "field 'a.b': found 1, expected 2"; None if nowhere."""
    for field, ours, theirs in differences(found, expected):
        return f"field '{field}': found {brief(ours)}, expected {brief(theirs)}"
    return None


def to_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Rows as CSV text with a header; missing values and None are empty."""
    lines = [",".join(columns)]
    lines += [",".join(_cell(row.get(column)) for column in columns) for row in rows]
    return "\n".join(lines) + "\n"


def _is_temporary(name: str) -> bool:
    owner, _, rest = name.removeprefix(".").partition(".")
    return name.startswith(".") and owner.isdigit() and bool(rest)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = str(value)
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n') else text
