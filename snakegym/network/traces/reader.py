"""One file of a folder of traces: read, checked, assigned to its split."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from snakegym.errors import SnakegymError
from snakegym.network.traces.formats import Format, sniff
from snakegym.network.traces.formats.base import KINDS, Recording
from snakegym.network.traces.formats.text import read_bytes
from snakegym.network.traces.splits import content_key, split_of

SHORTEST_STEP_S: Final = 0.01
"""Median time between two samples, at least: a frame of LTE and 5G (3GPP TS 38.211). Within one, traffic
says what the scheduler did, not what the link carries; shorter steps are those of stamps in hours or days."""
CLOSEST_S: Final = 1e-6
"""Time between any two samples, at least: less is a slip of the pen."""
LONGEST_S: Final = 1e9
"""Of a trace from its first sample to its last: 30 years."""
FASTEST_MBPS: Final = 1e6
LONGEST_RTT_MS: Final = 1e6
Entry = dict[str, Any]
"""What the index says about one file, as JSON data (see `Reader`)."""


class Reader:
    """Reads files and says what they are."""

    def __init__(self, root: Path, stated: Sequence[Format] = ()) -> None:
        self._root, self._stated = root, stated

    def read(self, path: str, file: Path) -> tuple[Entry, list[Recording]]:
        """The entry of a file (`stamps` without values, `traces` still empty), and what it holds."""
        entry: Entry = {"path": path, "stamps": {path: None}, "error": ""}
        entry |= dict.fromkeys(("format", "sha256", "key", "split"), "")
        try:
            if not path.isprintable():  # it could not be shown in any table or picture
                raise SnakegymError(f"{path!a}: found a name that cannot be printed, expected another")
            form = sniff(file, self._stated)
            content = read_bytes(file)
            key = content_key(content)
            entry |= {
                "stamps": {path: None} | {relative(self._root, c): None for c in form.companions(file)},
                "format": form.name,
                "sha256": hashlib.sha256(content).hexdigest(),
                "key": key.hex(),
                "split": split_of(key),
            }
            with np.errstate(over="ignore", invalid="ignore"):
                recordings = form.read(file)
            self._check_kind(path, recordings)
            check_range(path, recordings)
        except (SnakegymError, OSError) as error:
            # The folder goes without saying.
            entry["error"] = str(error).replace(f"{self._root}{os.sep}", "")
            recordings = []
        return entry, recordings

    def _check_kind(self, path: str, recordings: Iterable[Recording]) -> None:
        first = path.partition("/")[0]
        if "/" in path and first in KINDS:
            for recording in recordings:
                if recording.kind != first:
                    raise SnakegymError(
                        f"{path}: found a {recording.kind} trace, expected {first} traces in {first}/"
                    )


def check_range(path: str, recordings: Iterable[Recording]) -> None:
    """Raise SnakegymError for a recording of figures that no unit makes sensible."""
    for recording in recordings:
        highest = max(float(v.max()) for v in recording.columns.values())
        length_s = float(recording.times_s[-1] - recording.times_s[0])
        closest_s = float(np.diff(recording.times_s).min(initial=LONGEST_S))
        for what, found, low, high, unit in (
            ("two samples within", closest_s, CLOSEST_S, LONGEST_S, " s"),
            ("a median step of", recording.step_s, SHORTEST_STEP_S, LONGEST_S, " s"),
            ("a length of", length_s, 0.0, LONGEST_S, " s"),
            ("up to", highest, 0.0, FASTEST_MBPS, " Mbit/s" if recording.kind == "link" else ""),
            ("a round-trip time of", recording.rtt_ms or 0.0, 0.0, LONGEST_RTT_MS, " ms"),
        ):
            if not low <= found <= high:
                raise SnakegymError(
                    f"{path}: found {what} {found:g}{unit}, expected {low:g} to {high:g}{unit}: "
                    "is it in another unit?"
                )


def relative(root: Path, file: Path) -> str:
    """A path within the folder, with slashes."""
    return file.relative_to(root).as_posix()
