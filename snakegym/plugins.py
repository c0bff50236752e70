"""Other people's schedulers, models, datasets, frameworks and algorithms.

Wherever snakegym takes the name of one of these, it also takes

- `module:attribute`, for what Python can import (the working directory included),
- `path/to/file.py:attribute`, for a file,
- the name of an entry point that an installed package declares in the group `snakegym.schedulers`,
  `snakegym.models`, `snakegym.datasets`, `snakegym.frameworks` or `snakegym.algorithms`.

Naming one runs its code. Names that ship with snakegym come first, so that no package can replace them.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal
from zlib import crc32

from snakegym.errors import SnakegymError

Kind = Literal["scheduler", "model", "dataset", "framework", "algorithm"]


def is_path(spec: str) -> bool:
    """Whether this names an attribute of a file, `path/to/file.py:attribute`."""
    return spec.rpartition(":")[0].endswith(".py")


def list_plugins(kind: Kind) -> tuple[str, ...]:
    """Names that installed packages declare for this kind, sorted."""
    return tuple(sorted({point.name for point in _points(kind)}))


def load_plugin(kind: Kind, spec: str, known: Iterable[str], hint: str = "") -> Callable[..., Any]:
    """What `spec` names: a callable that makes one of its kind.

    Args:
        kind: what it is to be.
        spec: `module:attribute`, `file.py:attribute` or the name of an entry point.
        known: the names that ship with snakegym, for the error.
        hint: what else is expected, for the error.

    Raises:
        SnakegymError: there is no such module, file, attribute or entry point; importing it fails; or it
            cannot be called.
    """
    module, _, attribute = spec.rpartition(":")
    if module and attribute:
        return _callable(kind, spec, _attribute(kind, spec, _import(kind, spec, module), attribute))
    points = [point for point in _points(kind) if point.name == spec]
    if len(points) > 1:
        raise SnakegymError(
            f"{kind} '{spec}': found in {' and '.join(sorted(p.value for p in points))}, expected one "
            "package with an entry point of that name"
        )
    if points:
        return _callable(kind, spec, _import_safely(kind, spec, points[0].load))
    names = ", ".join([*known, *list_plugins(kind)])
    raise SnakegymError(
        f"unknown {kind} '{spec}': expected one of {names}{hint}, or your own as module:attribute or "
        "file.py:attribute"
    )


def make_plugin(kind: Kind, spec: str, make: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """What `make`, loaded from `spec`, gives. Raises SnakegymError if it fails, with its own reason."""
    return _import_safely(kind, spec, lambda: make(*args, **options), "cannot make it")


@cache
def _points(kind: Kind) -> list[EntryPoint]:
    # The same distribution may be found twice (a folder on the path beside its installation).
    return list({(p.name, p.value): p for p in entry_points(group=f"snakegym.{kind}s")}.values())


def _import(kind: Kind, spec: str, module: str) -> ModuleType:
    if module.endswith(".py"):
        path = Path(module).absolute()
        if not path.is_file():
            raise SnakegymError(f"{kind} '{spec}': found no file {path}")
        found: ModuleType = _import_safely(kind, spec, lambda: _import_file(path))
        return found
    _make_importable(os.getcwd())  # as with `python -m`; console scripts leave it out
    imported: ModuleType = _import_safely(kind, spec, lambda: importlib.import_module(module))
    return imported


def _import_file(path: Path) -> ModuleType:
    # A name of its own: two files may be called alike. The same file is imported once.
    name = f"snakegym_plugin_{path.stem}_{crc32(str(path).encode()):08x}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    _make_importable(str(path.parent))  # its neighbours, as with `python file.py`
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _make_importable(folder: str) -> None:
    if folder not in sys.path:
        sys.path.append(folder)  # last: nothing that is installed is replaced


def _import_safely(kind: Kind, spec: str, load: Callable[[], Any], what: str = "cannot import it") -> Any:
    try:
        return load()
    except SnakegymError:
        raise
    except Exception as error:  # other people's code may fail in any way
        reason = f"{type(error).__name__}: {error}".strip().rstrip(":")
        raise SnakegymError(f"{kind} '{spec}': {what}: {' '.join(reason.split())}") from error


def _attribute(kind: Kind, spec: str, module: ModuleType, name: str) -> Any:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise SnakegymError(f"{kind} '{spec}': found no '{name}' in {module.__file__ or module.__name__}")
        found = getattr(found, part)
    return found


def _callable(kind: Kind, spec: str, found: Any) -> Callable[..., Any]:
    if not callable(found):
        raise SnakegymError(
            f"{kind} '{spec}': found {type(found).__name__}, expected a class or function that makes a {kind}"
        )
    return found  # type: ignore[no-any-return]
