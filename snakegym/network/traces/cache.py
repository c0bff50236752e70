"""Parsed traces on disk, so that the next program does not parse them again.

Under the user's cache folder there is, for each folder of traces, an index (JSON: what each file is,
and when it was read) and for each split one array of numbers (NPY). A program that works on one split
opens that split's array alone.

Everything is written beside its place and moved there, the index last, so programs that run at the
same time see an old state or a new one. Arrays are named by the hash of their bytes, the index begins
with its own: what was altered, or cut off when a machine went down, does not count, and the traces are
read again. Where nothing can be written, nothing is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from snakegym.documents import parse_json
from snakegym.errors import SnakegymError
from snakegym.files import TEMPORARY, owner_of, temporary_name
from snakegym.network.traces.formats.base import Floats
from snakegym.network.traces.formats.text import read_bytes

VARIABLE: Final = "SNAKEGYM_CACHE"
"""Environment variable that names another cache folder; empty: keep nothing."""


_STALE_S: Final = 3600.0


def cache_folder() -> Path | None:
    """Where parsed traces are kept; None: nowhere, or where nobody's home is."""
    named = os.environ.get(VARIABLE)
    try:
        if named is not None:
            return Path(named).expanduser() / "traces" if named else None
        if sys.platform == "win32":
            base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        elif sys.platform == "darwin":
            base = Path.home() / "Library" / "Caches"
        else:
            base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # no home
        return None
    return base / "snakegym" / "traces"


class Store:
    """What is kept about one folder of traces.

    Args:
        subject: what the kept state depends on besides the files; another subject is another store.
    """

    def __init__(self, *subject: str) -> None:
        content = "\0".join((*subject, _reader_version())).encode()
        self._name = _digest(content)
        self._folder = cache_folder()

    def load(self) -> dict[str, Any] | None:
        """The index; None if there is none, or not as it was written."""
        content = self._read(f"{self._name}.json")
        digest, _, text = (content or b"").partition(b"\n")
        if not content or digest.decode(errors="replace") != _digest(text):
            return None
        index: dict[str, Any] = parse_json(text, self._name, finite=False)
        return index

    def open(self, index: Mapping[str, Any], split: str) -> Floats | None:
        """The numbers of a split, read-only; None if they are gone or not as they were written."""
        pack = index["packs"].get(split, {"file": ""})
        content = self._read(pack["file"])
        if not content or pack["file"] != self._pack_name(content):
            return None
        numbers: Floats = np.load(io.BytesIO(content), allow_pickle=False)
        numbers.flags.writeable = False
        return numbers

    def save(self, index: dict[str, Any], packs: Mapping[str, Floats]) -> None:
        """Keep an index and the numbers of each split in place of what was kept before."""
        if self._folder is None:
            return
        before = self.load()
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._clear()
            index["packs"] = {split: {"file": self._write_pack(numbers)} for split, numbers in packs.items()}
            text = json.dumps(index).encode()
            self._write(f"{self._name}.json", _digest(text).encode() + b"\n" + text)
            self._forget(before, index)

    def _read(self, name: str) -> bytes | None:
        if self._folder is None or not name:
            return None
        try:
            return read_bytes(self._folder / name)
        except SnakegymError:  # gone, or no file at all
            return None

    def _write_pack(self, numbers: Floats) -> str:
        buffer = io.BytesIO()
        np.save(buffer, numbers)
        name = self._pack_name(buffer.getvalue())
        self._write(name, buffer.getvalue())
        return name

    def _pack_name(self, content: bytes) -> str:
        return f"{self._name}-{_digest(content)}.npy"

    def _write(self, name: str, content: bytes) -> None:
        """A whole file in one step, on the disk before it has its name."""
        assert self._folder is not None
        temporary = self._folder / temporary_name(name)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._folder / name)
        finally:
            temporary.unlink(missing_ok=True)

    def _clear(self) -> None:
        """Delete what killed programs left half-written: nobody writes for an hour."""
        assert self._folder is not None
        for left in self._folder.glob(f"{TEMPORARY}*"):
            with contextlib.suppress(OSError):
                if owner_of(left.name) and time.time() - left.stat().st_mtime > _STALE_S:
                    left.unlink()

    def _forget(self, before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> None:
        """Delete the arrays that only the former index named."""
        assert self._folder is not None
        used = {pack["file"] for pack in now["packs"].values()}
        for pack in (before or {"packs": {}})["packs"].values():
            if pack["file"] not in used:
                with contextlib.suppress(OSError):  # on Windows while another program reads it
                    (self._folder / pack["file"]).unlink(missing_ok=True)


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=12).hexdigest()


@cache
def _reader_version() -> str:
    """Hash of the code that reads traces: another reader, another cache, and nothing to remember."""
    folder = Path(__file__).parent
    files = [
        *sorted((folder / "formats").glob("*.py")),
        folder / "reader.py",
        folder / "catalogue.py",
        Path(__file__),
    ]
    try:
        return _digest(b"\0".join(f.read_bytes() for f in files))
    except OSError:  # code without files, in a zip archive
        from snakegym import __version__

        return __version__
