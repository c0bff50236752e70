"""Trace libraries by configuration: generated, or from a folder of tidy files."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from snakegym.errors import SnakegymError
from snakegym.network.generator import GeneratorConfig, generate
from snakegym.network.tidy import read_compute, read_link
from snakegym.network.traces import LinkTrace, Trace, TraceLibrary
from snakegym.scenario import TraceConfig

GENERATED = "generated"


def load_library(config: TraceConfig, override: str | None = None) -> TraceLibrary:
    """The traces that a scenario asks for, all splits together, sorted by name.

    Files are parsed once a process, unless they change.

    Args:
        config: source, globs over names, settings of the generator.
        override: takes the place of `config.source`: `generated`, or a folder with `link/*.csv` and
            `compute/*.csv` (files named MANIFEST are no traces). The globs still apply.

    Raises:
        SnakegymError: missing folder, bad file, no trace that matches a glob, or bad settings.
    """
    source = config.source if override is None else override
    if source == GENERATED:
        return generate(_settings(config)).select(config.link, config.compute)
    root = Path(source).expanduser()
    if not root.is_dir():
        raise SnakegymError(
            f"traces: '{source}' is no folder: expected '{GENERATED}' or a folder with link/*.csv and "
            "compute/*.csv"
        )
    return TraceLibrary(
        _read_folder(root / "link", config.link, _cached_link),
        _read_folder(root / "compute", config.compute, _cached_compute),
    )


def _settings(config: TraceConfig) -> GeneratorConfig:
    try:
        return GeneratorConfig.model_validate(config.generator)
    except ValidationError as error:
        faults = (
            f"{'.'.join(map(str, e['loc']))}: {e['msg']} (found {e['input']!r})" for e in error.errors()
        )
        raise SnakegymError(f"field 'network.traces.generator': {'; '.join(faults)}") from None


_Entry = TypeVar("_Entry", Trace, LinkTrace)


def _read_folder(folder: Path, pattern: str, read: Callable[[Path, int, int], _Entry]) -> tuple[_Entry, ...]:
    if not folder.is_dir():
        raise SnakegymError(f"traces: there is no folder {folder}: expected it to hold *.csv files")
    files = sorted(f for f in folder.glob("*.csv") if f.stem != "MANIFEST")
    chosen = [(f, f.stat()) for f in files if fnmatchcase(f.stem, pattern)]
    if not chosen:
        raise SnakegymError(
            f"{folder}: no trace is called '{pattern}': expected at least one among {len(files)} files"
        )
    return tuple(read(f, stat.st_mtime_ns, stat.st_size) for f, stat in chosen)


# Keyed by modification time and size too, so that a file that changed is read again.


@lru_cache(maxsize=4096)
def _cached_link(path: Path, _mtime_ns: int, _size: int) -> LinkTrace:
    return read_link(path)


@lru_cache(maxsize=4096)
def _cached_compute(path: Path, _mtime_ns: int, _size: int) -> Trace:
    return read_compute(path)
