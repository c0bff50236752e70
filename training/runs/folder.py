"""Folders that a command writes: never another's, never half a file.

Every file is written beside its place and moved there in one step, so a kill leaves the old file
or the new one. What it leaves besides, a hidden file that bears the number of its process, is no
content, and the next command removes it.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError

from snakegym.differences import brief, differences
from snakegym.documents import parse_json
from snakegym.errors import SnakegymError
from snakegym.files import TEMPORARY as PREFIX
from snakegym.files import owner_of, read_text, temporary_name

HIDDEN = ".snakegym.lock"
MOST_BYTES = 2**31
"""Of a file of ours that is read: more than any evaluation leaves."""
LOCK_S = 1.0
"""To wait for another command that is about to end."""

Shape = TypeVar("Shape")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well.

    Raises:
        SnakegymError: the file cannot be written: no such folder, no right to, disk full, and so on.
    """
    temporary = temporary_path(path)
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


def temporary_path(path: Path) -> Path:
    """Where this process may build a file or folder that is to become `path`, in the same folder.

    What dead processes left of theirs is removed.
    """
    with contextlib.suppress(OSError):
        for other in path.parent.iterdir():
            owned = owner_of(other.name)
            if owned and owned.name == path.name and not _lives(owned.process):
                _remove(other)
    # Same suffix: some writers (SB3, matplotlib) go by it.
    return path.with_name(temporary_name(path.name))


def append_text(path: Path, text: str) -> None:
    """Append to a text file; it is on the disk when this returns. Raises SnakegymError if it cannot be."""
    try:
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise SnakegymError(f"{path}: cannot write this file: {error.strerror or error}") from None


def write_text(path: Path, text: str) -> None:
    """Write a whole text file in one step."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_json(path: Path, data: Any, indent: int | None = 2) -> None:
    """Write a JSON file in one step; NaN is refused, as it is no JSON."""
    write_text(path, json.dumps(data, indent=indent, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises SnakegymError if it is none, or says something twice."""
    data = parse_json(
        read_text(path, "it as JSON", MOST_BYTES), f"{path}: cannot read it as JSON", finite=False
    )
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # it could be written to no page
        raise SnakegymError(f"{path}: found half of a surrogate pair, expected text") from None
    return data


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, none if there is no such file. Raises SnakegymError if it is unreadable."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SnakegymError(f"{path}: cannot read this file: {error.strerror or error}") from None


def read_shape(path: Path, shape: type[Shape], what: str) -> Shape:
    """The content of a JSON file, checked by pydantic.

    Args:
        path: of the file.
        shape: what is expected: a pydantic model, a typed dictionary, a list of them, and so on.
        what: wrote it, for the message.

    Raises:
        SnakegymError: unreadable, no JSON, or of another shape; names the first field that is wrong.
    """
    try:
        return TypeAdapter(shape).validate_python(read_json(path))
    except ValidationError as error:
        raise SnakegymError(f"{path}: {first_fault(error)}, expected what {what} writes") from None


def first_fault(error: ValidationError) -> str:
    """What pydantic found first, as "field 'a.b': found 1, input should be a valid string"."""
    first = error.errors()[0]
    field = " ".join(".".join(map(str, first["loc"])).split()) or "(all of it)"
    found = "" if first["type"] == "missing" else f"found {brief(first['input'])}, "
    return f"field '{field}': {found}{first['msg'][0].lower()}{first['msg'][1:]}"


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
    return sorted(n for n in names if n != HIDDEN and owner_of(n) is None)


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
    """Hold the folder against other commands; a kill releases it. Removes what killed ones left in it.

    Raises:
        SnakegymError: another command holds it, or it cannot be written to.
    """
    lock = FileLock(folder / HIDDEN, timeout=LOCK_S)
    try:
        lock.acquire()
    except Timeout:
        raise SnakegymError(f"{folder}: another snakegym command is writing to this folder") from None
    except OSError as error:
        raise SnakegymError(f"{folder}: cannot write to this folder: {error.strerror or error}") from None
    try:
        remove_leftovers(folder)
        yield
    finally:
        with contextlib.suppress(OSError):  # while it is held: filelock heeds a file that is gone
            (folder / HIDDEN).unlink()
        lock.release()


def remove_leftovers(folder: Path) -> None:
    """Remove what killed commands left of temporary files, in the folder and below it.

    Whoever holds the folder's lock may: nobody else is writing.
    """
    for path in [*folder.rglob(f"{PREFIX}*")]:
        if owner_of(path.name):
            _remove(path)


def first_difference(found: Any, expected: Any) -> str | None:
    """Where two JSON values differ first, as "field 'a.b': found 1, expected 2"; None if nowhere."""
    for field, ours, theirs in differences(found, expected):
        return f"field '{field}': found {brief(ours)}, expected {brief(theirs)}"
    return None


def to_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Rows as CSV text with a header; missing values and None are empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _lives(process: int) -> bool:
    """Whether this process may still run."""
    if sys.platform == "win32":
        return True  # a signal 0 is a Ctrl-C there
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
