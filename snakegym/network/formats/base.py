"""What the readers of trace formats share: what they return, and text that names file and line."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from snakegym.errors import SnakegymError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Kind = Literal["link", "compute"]
Column = Literal["uplink_mbps", "downlink_mbps", "cpu_available_fraction"]

COLUMNS: Final[tuple[Column, ...]] = ("uplink_mbps", "downlink_mbps", "cpu_available_fraction")
STAMP_STEP_S: Final = 300.0
"""Step of the published utilisation series, which carry no time stamps (PlanetLab, Google)."""
_HEAD_BYTES = 65536


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
    lines: tuple[str, ...]
    """Not blank, complete, without line ends."""

    @property
    def header(self) -> frozenset[str]:
        """Fields of the first line, if it is one of a CSV file."""
        return (
            frozenset(f.strip().strip('"') for f in self.lines[0].split(",")) if self.lines else frozenset()
        )

    def numbers(self) -> list[list[float]] | None:
        """The lines as rows of numbers parted by blanks; None if one is anything else."""
        try:
            return [[float(field) for field in line.split()] for line in self.lines]
        except ValueError:
            return None


@dataclass(frozen=True)
class Format:
    """A published layout of trace files."""

    name: str
    summary: str
    citation: str
    """Whom to cite for the data, and where the layout is described."""
    recognises: Callable[[Head], bool]
    """Whether a file that starts so has this layout."""
    read: Callable[[Path], list[Recording]]
    """All recordings in a file; raises SnakegymError that names file, line and reason."""
    companions: Callable[[Path], tuple[Path, ...]] = lambda _: ()
    """Further files that are read with this one."""


def read_head(path: Path) -> Head:
    """The first lines of a text file. Raises SnakegymError if it cannot be read, is empty or no text."""
    try:
        with path.open("rb") as file:
            start = file.read(_HEAD_BYTES)
        lines = start.decode("utf-8-sig", errors="strict" if len(start) < _HEAD_BYTES else "ignore").split(
            "\n"
        )
    except (OSError, UnicodeDecodeError) as error:
        raise SnakegymError(f"{path}: cannot read the trace: {error}") from None
    if not start.strip():
        raise SnakegymError(f"{path}: found an empty file, expected a trace")
    if len(start) == _HEAD_BYTES:
        lines.pop()
    return Head(path, tuple(line.rstrip("\r") for line in lines if line.strip()))


def read_lines(path: Path) -> list[str]:
    """All lines of a text file without their ends; blank ones at the end are dropped.

    Raises:
        SnakegymError: unreadable, empty, or without a line end after the last line: every writer of
            these formats ends its lines, so the file was cut off.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SnakegymError(f"{path}: cannot read the trace: {error}") from None
    lines = text.split("\n")
    if lines.pop():
        raise SnakegymError(
            f"{path}, line {len(lines) + 1}: the last line has no line end, so the file seems cut off "
            "(if it is whole, add one)"
        )
    lines = [line.rstrip("\r") for line in lines]
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


class Table:
    """Rows of fields, and errors that name the file and the line.

    Args:
        path: the file.
        names: of the fields in a file without header, parted by blanks; None: a CSV file with one.
        exact: whether rows may not have further fields.

    Raises:
        SnakegymError: unreadable file, no sample, or a row with too few fields.
    """

    def __init__(self, path: Path, names: Sequence[str] | None = None, exact: bool = False) -> None:
        self.path = path
        lines = read_lines(path)
        self._first = 1 if names else 2
        if len(lines) < self._first:
            expected = "at least one sample" if names else "a header and at least one sample"
            raise SnakegymError(f"{path}: found {len(lines)} lines, expected {expected}")
        if names:
            self.header, self.rows = list(names), [line.split() for line in lines]
        else:
            rows = _csv_rows(path, lines)
            self.header, self.rows = [name.strip() for name in rows[0]], rows[1:]
        fields = len(self.header)
        for i, row in enumerate(self.rows):
            if len(row) < fields or (exact and len(row) > fields):
                raise self.error(i, f"found {len(row)} fields, expected {fields}")

    def error(self, row: int, reason: str) -> SnakegymError:
        """An error in this row; -1 is the header."""
        return SnakegymError(f"{self.path}, line {row + self._first}: {reason}")

    def column(self, name: str) -> list[str]:
        """The texts of a column."""
        if name not in self.header:
            raise self.error(-1, f"found columns {', '.join(self.header)}, expected {name} among them")
        i = self.header.index(name)
        return [row[i] for row in self.rows]

    def numbers(
        self, name: str, legal: Callable[[Floats], Bools] | None = None, expected: str = ""
    ) -> Floats:
        """A column as finite floats for which `legal` holds; raises SnakegymError for the first other."""
        texts = self.column(name)
        try:
            values = np.array([float(t) for t in texts])
        except ValueError:
            values = np.array([self.number(name, i, t) for i, t in enumerate(texts)])
        good = np.isfinite(values)
        if legal is not None:
            good &= legal(values)
        self.check(name, good, expected or "a finite number")
        return values

    def rates(self, name: str) -> Floats:
        """A column of finite numbers >= 0."""
        return self.numbers(name, lambda v: v >= 0, "a finite number >= 0")

    def median(self, name: str, missing: str = "") -> float | None:
        """The median of the values >= 0 that are stated; None if none is."""
        stated = [(i, t) for i, t in enumerate(self.column(name)) if t.strip() not in ("", missing)]
        values = [self.number(name, i, text) for i, text in stated]
        for (i, text), value in zip(stated, values, strict=True):
            if not 0 <= value < np.inf:
                raise self.error(i, f"{name} is '{text}', expected a finite number >= 0 or nothing")
        return float(np.median(values)) if values else None

    def number(self, name: str, row: int, text: str) -> float:
        """One field as a float; raises SnakegymError."""
        try:
            return float(text)
        except ValueError:
            raise self.error(row, f"{name} is '{text}', expected a number") from None

    def check(self, name: str, good: Bools, expected: str) -> None:
        """Raise SnakegymError for the first row that is not good."""
        if not good.all():
            i = int(np.argmin(good))
            raise self.error(i, f"{name} is '{self.column(name)[i]}', expected {expected}")


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


def word(text: str) -> str:
    """Lower-case letters and digits of a text, parted by hyphens: for names of sources and scenarios."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def folder_words(path: Path, known: Sequence[str]) -> Iterator[str]:
    """The names of the folders above a file that say something known, from the outside in."""
    return islice((w for part in path.parts[:-1] if (w := word(part)) in known), 4)


def _csv_rows(path: Path, lines: Sequence[str]) -> list[list[str]]:
    if not any('"' in line for line in lines):
        return [line.split(",") if line else [] for line in lines]
    try:
        return list(csv.reader(lines))
    except csv.Error as error:
        raise SnakegymError(f"{path}: cannot read the trace: {error}") from None
