"""What the readers of trace formats share: what they are told by, and what they return."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Kind = Literal["link", "compute"]
Column = Literal["uplink_mbps", "downlink_mbps", "cpu_available_fraction"]

COLUMNS: Final[tuple[Column, ...]] = ("uplink_mbps", "downlink_mbps", "cpu_available_fraction")
STAMP_STEP_S: Final = 300.0
"""Step of the published utilisation series, which carry no time stamps (PlanetLab, Google)."""
KINDS: Final[tuple[Kind, ...]] = ("link", "compute")


@dataclass(frozen=True, eq=False)
class Recording:
    """One trace as measured, before any gap is mended or any missing direction is filled in."""

    name: str
    times_s: Floats
    """[K >= 1], finite, strictly increasing, starting anywhere."""
    columns: Mapping[Column, Floats]
    """[K] each, finite and >= 0: one or both directions of a link, or a machine's free share in [0, 1]."""
    source: str
    """Who measured: a short name, the first half of a trace's stratum."""
    scenario: str = ""
    """Under what conditions, as far as file, folder or content tell: the second half."""
    rtt_ms: float | None = None
    """Median of the round-trip times; None where the source states none."""
    period_s: float | None = None
    """Where the format states how long the trace lasts; otherwise one median step after the last sample."""
    notes: tuple[str, ...] = ()
    """What the reader had to put right."""

    @property
    def kind(self) -> Kind:
        """A link's rates or a machine's compute."""
        return "compute" if "cpu_available_fraction" in self.columns else "link"

    @cached_property
    def step_s(self) -> float:
        """The usual time between two samples: the median; 1 s for a single sample."""
        # numpy.median does the same some ten times slower, and imports numpy.ma.
        steps = np.sort(self.times_s[1:] - self.times_s[:-1])
        n = len(steps)
        return float(steps[(n - 1) // 2] + steps[n // 2]) / 2 if n else 1.0


@dataclass(frozen=True)
class Head:
    """The start of a file: what a format is recognised by."""

    path: Path
    numbered: tuple[tuple[int, str], ...]
    """Lines with their numbers from 1: not blank, complete, without line ends."""

    @cached_property
    def header(self) -> frozenset[str]:
        """Fields of the first line, if it is one of a CSV file."""
        return frozenset(f.strip().strip('"') for f in self.first.split(","))

    @property
    def first(self) -> str:
        """The first line."""
        return self.numbered[0][1] if self.numbered else ""

    @cached_property
    def columns(self) -> Floats | None:
        """[lines, fields]: the numbers in lines without header; None if that is not what the file holds.

        A few lines that are anything else, or of another length, are left out, so that they do not
        hide what the others are: whoever reads the file comes upon them.
        """
        if not _numbers(self.first):
            return None
        rows = [_numbers(line) for _, line in self.numbered]
        usual, n = Counter(len(row) for row in rows if row).most_common(1)[0]
        if usual == 0 or len(rows) - n > max(1, len(rows) // 5) or 2 * n < len(rows):
            return None
        return np.array([row for row in rows if len(row) == usual])

    @property
    def kind(self) -> Kind | None:
        """What the nearest folder called link or compute says."""
        folders = (part.lower() for part in reversed(self.path.parts[:-1]))
        return next((kind for folder in folders for kind in KINDS if folder == kind), None)

    def beneath(self, *words: str) -> bool:
        """Whether the name of one of the two folders above the file holds one of these words."""
        return any(w in part.lower() for part in self.path.parts[-3:-1] for w in words)


def _numbers(line: str) -> list[float]:
    """The finite numbers in a line, parted by blanks; none if anything else is in it."""
    try:
        values = [decimal(field) for field in line.split()]
    except ValueError:
        return []
    return values if all(map(math.isfinite, values)) else []


def decimal(text: str) -> float:
    """The number in a text. Raises ValueError for what Python alone reads: `1_000`, other scripts' digits."""
    if not text.isascii() or "_" in text:
        raise ValueError(f"found {text!r:.60}, expected a decimal number")
    return float(text)


@dataclass(frozen=True)
class Format:
    """A published layout of trace files."""

    name: str
    summary: str
    citation: str
    """Whom to cite for the data, and where the layout is described."""
    recognises: Callable[[Head], bool]
    """Whether a file that starts so, and is called so, has this layout: units and kind are beyond doubt."""
    read: Callable[[Path], list[Recording]]
    """All recordings in a file; raises SnakegymError that names file, line and reason."""
    companions: Callable[[Path], tuple[Path, ...]] = lambda _: ()
    """Further files that are read with this one."""
    resembles: Callable[[Head], bool] = lambda _: False
    """Whether it might have this layout, if only somebody said so."""


def in_order(
    times_s: Floats, columns: Mapping[Column, Floats]
) -> tuple[Floats, dict[Column, Floats], tuple[str, ...]]:
    """Samples in order of time, those of the same stamp averaged, and notes on what was done.

    Published logs are stamped in whole seconds and now and then hold two samples of one second, or
    their rows in reverse.
    """
    steps, notes = np.diff(times_s), []
    if (steps < 0).any():
        order = np.argsort(times_s, kind="stable")
        times_s, columns = times_s[order], {c: v[order] for c, v in columns.items()}
        notes.append("rows were out of order; sorted by time")
    stamps, which, counts = np.unique(times_s, return_inverse=True, return_counts=True)
    repeated = len(times_s) - len(stamps)
    if repeated:
        columns = {c: np.bincount(which, v) / counts for c, v in columns.items()}
        notes.append(f"{repeated} repeated time stamps averaged")
    return stamps, dict(columns), tuple(notes)


def rising(values: Floats) -> bool:
    """Whether values hardly ever fall: one in twenty may be a mistake, which is then named."""
    return int((np.diff(values) < 0).sum()) <= len(values) // 20


def word(text: str) -> str:
    """Lower-case letters and digits of a text, parted by hyphens: for names of sources and scenarios."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def folder_words(path: Path, known: Sequence[str]) -> Iterator[str]:
    """The names of the folders above a file that say something known, from the outside in."""
    return islice((w for part in path.parts[:-1] if (w := word(part)) in known), 4)
