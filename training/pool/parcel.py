"""What goes with work to machines that have none of our files: policies, scenarios, traces, data sets.

The command packs files and writes into the options, in place of their paths, where they will lie in the
parcel. Whoever gets it unpacks it, once on a machine, and puts the true places there. A parcel is called by
the hash of its content, so it lies at the same place whenever it is sent again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from snakegym.errors import SnakegymError
from snakegym.network.traces.cache import cache_folder
from snakegym.training.pool.seam import Say
from snakegym.training.runs.folder import make_folder

PLACE: Final = "\N{PACKAGE}/"
"""With this begins, in options, the place of something in the parcel."""
KEPT_S: Final = 7 * 86400.0
"""An unpacked parcel that nobody asked for goes after so long."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class Parcel:
    """Content of files by their place, and of variables of the environment."""

    files: Mapping[str, bytes]
    documents: Mapping[str, Any]
    """Plain data by the place of the JSON file that it is to be; may name other places."""
    environment: Mapping[str, str]

    @cached_property
    def digest(self) -> str:
        """Hash of all that is in it."""
        found = hashlib.sha256(json.dumps([self.documents, self.environment]).encode())
        for name, content in sorted(self.files.items()):
            found.update(f"\0{name}\0{len(content)}\0".encode() + content)
        return found.hexdigest()[:24]

    def unpack(self) -> Path:
        """The folder in which all of it lies; variables of the environment are set.

        Raises:
            SnakegymError: it cannot be written.
        """
        root = place_of(self.digest)
        if not root.is_dir():
            make_folder(root.parent)
            _forget_old(root.parent)
            self._write(root)
        with suppress(OSError):
            os.utime(root)
        os.environ.update(placed(self.environment, root))
        return root

    def _write(self, root: Path) -> None:
        documents = {name: json.dumps(placed(d, root)).encode() for name, d in self.documents.items()}
        try:
            with tempfile.TemporaryDirectory(dir=root.parent) as temporary:
                whole = Path(temporary) / root.name
                whole.mkdir()
                for name, content in {**self.files, **documents}.items():
                    path = whole / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content)
                whole.rename(root)
        except OSError as error:
            if not root.is_dir():  # else another worker was first
                raise SnakegymError(
                    f"{root}: cannot write what tasks need: {error.strerror or error}"
                ) from None


def place_of(digest: str) -> Path:
    """Where a parcel lies, once it is unpacked: in the cache folder of this machine."""
    return parcels_folder() / digest


def parcels_folder() -> Path:
    """Where parcels lie."""
    traces = cache_folder()
    if traces is None:
        raise SnakegymError("SNAKEGYM_CACHE: found an empty name, expected a folder: tasks need files")
    return traces.with_name("parcels").resolve()


def _forget_old(folder: Path) -> None:
    for old in folder.iterdir():
        with suppress(OSError):
            if time.time() - old.stat().st_mtime > KEPT_S:
                shutil.rmtree(old)


def placed(value: Value, root: Path) -> Value:
    """The same, be it text, data, or options, with true places for those in the parcel."""
    return replaced(value, PLACE, f"{root}{os.sep}")


def replaced(value: Value, before: str, after: str) -> Value:
    """The same, be it text, data, or options, with another text wherever one stands in it."""
    return _mapped(value, lambda text: text.replace(before, after))  # type: ignore[no-any-return]


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, BaseModel):
        return type(value).model_validate(_mapped(value.model_dump(), change))
    if isinstance(value, Mapping):
        return {key: _mapped(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [_mapped(item, change) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _mapped(getattr(value, f.name), change) for f in fields(value)})
    return value


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for a task on a machine without our files, as long as the block lasts."""
    make_folder(parcels_folder())
    with tempfile.TemporaryDirectory(dir=parcels_folder()) as folder:
        yield Path(folder)


class Portable:
    """Work that is made anew where it is done, from options and what they name.

    Args:
        make: gives the work; a function or class.
        options: for it, with places in the parcel.
        parcel: what goes along.
        names: what is called otherwise in tasks, there: by its name here its place.
    """

    def __init__(
        self, make: Callable[[Any], Any], options: Any, parcel: Parcel, names: Mapping[str, str] | None = None
    ) -> None:
        self._parts = make, options, parcel, dict(names or {})

    def __reduce__(self) -> tuple[Any, ...]:
        return Arrived, self._parts

    def __call__(self, task: Any, say: Say) -> Any:
        """The same here."""
        return Arrived(*self._parts)(task, say)


class Arrived:
    """Work where it is done; arguments as of `Portable`."""

    def __init__(
        self, make: Callable[[Any], Any], options: Any, parcel: Parcel, names: Mapping[str, str]
    ) -> None:
        root = parcel.unpack()
        self._work = make(placed(options, root))
        self._names = placed(names, root)

    def __call__(self, task: Any, say: Say) -> Any:
        """What comes of a task."""
        return self._work(_mapped(task, lambda name: self._names.get(name, name)), say)
