"""Tidy trace files (`snakegym.network.traces.formats.tidy`): a whole folder of them or none."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from snakegym.errors import SnakegymError
from snakegym.network.traces.formats.base import Recording
from snakegym.network.traces.trace import Origin
from snakegym.training.runs.conventions import write_request
from snakegym.training.runs.folder import existing_files, temporary_path


def tidy_text(recording: Recording) -> str:
    """A recording as CSV; numbers are written so that reading gives the same ones."""
    columns = [recording.times_s.tolist(), *(v.tolist() for v in recording.columns.values())]
    rows = [",".join(map(repr, row)) for row in zip(*columns, strict=True)]
    header = ["time_s", *recording.columns]
    if recording.rtt_ms is not None:
        # The median alone is known; the reader takes the median of what is stated.
        header.append("rtt_ms")
        rows = [f"{row},{recording.rtt_ms!r}" if i == 0 else f"{row}," for i, row in enumerate(rows)]
    return "\n".join([",".join(header), *rows]) + "\n"


def tidy_paths(items: Iterable[tuple[Origin, Recording]]) -> dict[str, Recording]:
    """The files to write, by path: names that state source and scenario as tidy files' do.

    Raises:
        SnakegymError: two recordings would get the same name.
    """
    files: dict[str, Recording] = {}
    for origin, recording in items:
        name = recording.name
        if origin.format != "tidy":
            # Hyphens would make what follows them a detail of the scenario.
            parts = (origin.source, origin.scenario.replace("-", "_"), recording.name.replace("_", "-"))
            name = "_".join(filter(None, parts))
        path = f"{recording.kind}/{name}.csv"
        if path in files:
            raise SnakegymError(
                f"{origin.path}: another trace is called '{name}' too, expected different names"
            )
        files[path] = recording
    return files


def write_folder(out: Path, files: Mapping[str, Recording], command: Any) -> None:
    """Write all files, and how the command was called, in one step.

    Raises:
        SnakegymError: `out` is a file or holds something, or cannot be written.
    """
    found = existing_files(out)
    if found:
        raise SnakegymError(f"{out}: found {found[0]} in it, expected a new or an empty folder")
    out = out.absolute()
    staging = temporary_path(out)
    try:
        for path, recording in files.items():
            file = staging / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(tidy_text(recording), encoding="utf-8", newline="")
        write_request(staging, command)
        if out.exists():
            out.rmdir()
        staging.replace(out)
    except OSError as error:
        raise SnakegymError(f"{out}: cannot write this folder: {error.strerror or error}") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
