"""Parsed traces on disk, so that the next program does not parse them again.

Under the user's cache folder there is, for each folder of traces, an index (JSON: what each file is,
and when it was read) and for each split one array of numbers (NPY), mapped into memory when used. A
program that works on one split opens that split's array alone.

Everything is written beside its place and moved there, the index last, so programs that run at the
same time see an old state or a new one. Where nothing can be written, nothing is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from snakegym.network.formats.base import Floats

VARIABLE: Final = "SNAKEGYM_CACHE"
"""Environment variable that names another cache folder; empty: keep nothing."""


def cache_folder() -> Path | None:
    """Where parsed traces are kept; None: nowhere."""
    named = os.environ.get(VARIABLE)
    if named is not None:
        return Path(named).expanduser() / "traces" if named else None
    try:
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
        self._name = hashlib.blake2b(content, digest_size=12).hexdigest()
        self._folder = cache_folder()

    def load(self) -> dict[str, Any] | None:
        """The index; None if there is none that can be read."""
        if self._folder is None:
            return None
        with contextlib.suppress(OSError, ValueError):
            index = json.loads((self._folder / f"{self._name}.json").read_bytes())
            if isinstance(index, dict):
                return index
        return None

    def open(self, index: Mapping[str, Any], split: str) -> Floats | None:
        """The numbers of a split, mapped read-only; None if they are gone or not as the index says."""
        if self._folder is None:
            return None
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            numbers = np.load(self._folder / index["packs"][split]["file"], mmap_mode="r", allow_pickle=False)
            if numbers.dtype == np.float64 and numbers.shape == (index["packs"][split]["length"],):
                # A plain array over the same memory: slices of a memmap are slow to make.
                return np.asarray(numbers)
        return None

    def save(self, index: dict[str, Any], packs: Mapping[str, Floats]) -> None:
        """Keep an index and the numbers of each split in place of what was kept before."""
        if self._folder is None:
            return
        before = self.load()
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            index["packs"] = {split: self._write(numbers) for split, numbers in packs.items()}
            self._replace(f"{self._name}.json", json.dumps(index).encode())
            self._forget(before, index)

    def _write(self, numbers: Floats) -> dict[str, Any]:
        digest = hashlib.blake2b(numbers.tobytes(), digest_size=12).hexdigest()
        name = f"{self._name}-{digest}.npy"
        assert self._folder is not None
        temporary = self._temporary(name)
        try:
            with temporary.open("wb") as file:
                np.save(file, numbers)
            temporary.replace(self._folder / name)
        finally:
            temporary.unlink(missing_ok=True)
        return {"file": name, "length": len(numbers)}

    def _replace(self, name: str, content: bytes) -> None:
        assert self._folder is not None
        temporary = self._temporary(name)
        try:
            temporary.write_bytes(content)
            temporary.replace(self._folder / name)
        finally:
            temporary.unlink(missing_ok=True)

    def _temporary(self, name: str) -> Path:
        assert self._folder is not None
        return self._folder / f".{os.getpid()}.{name}"

    def _forget(self, before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> None:
        """Delete the arrays that only the former index named."""
        assert self._folder is not None
        used = {pack["file"] for pack in now["packs"].values()}
        for pack in (before or {}).get("packs", {}).values():
            if pack.get("file") not in used:
                with contextlib.suppress(OSError, TypeError):  # on Windows while another program reads it
                    (self._folder / Path(str(pack["file"])).name).unlink(missing_ok=True)


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
        return hashlib.blake2b(b"\0".join(f.read_bytes() for f in files), digest_size=12).hexdigest()
    except OSError:  # code without files, in a zip archive
        from snakegym import __version__

        return __version__
