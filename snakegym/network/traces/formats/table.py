"""Rows and columns of trace files, and errors that name the file and the line."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from snakegym.errors import SnakegymError
from snakegym.network.traces.formats.base import Bools, Floats, decimal
from snakegym.network.traces.formats.text import read_lines, shown


class Table:
    """Rows of fields, and errors that name the file and the line.

    Args:
        path: the file.
        names: of the fields in a file without header, parted by blanks; None: a CSV file with one.
        exact: whether rows without header may not have further fields; below a header none ever may,
            but for an empty one at the end.
        delimiter: between the fields of a CSV file.

    Raises:
        SnakegymError: unreadable file, no sample, a name given twice, or a row with too few or too
            many fields.
    """

    def __init__(
        self, path: Path, names: Sequence[str] | None = None, exact: bool = False, delimiter: str = ","
    ) -> None:
        self.path = path
        lines = read_lines(path)
        if len(lines) < (1 if names else 2):
            expected = "at least one sample" if names else "a header and at least one sample"
            raise SnakegymError(f"{path}: found {len(lines)} lines, expected {expected}")
        if names:
            self.header, self.rows = list(names), [line.split() for line in lines]
            self._lines: Sequence[int] = range(1, len(lines) + 1)
        else:
            rows, self._lines = _csv_rows(path, lines, delimiter)
            self.header, self.rows, self._lines = [n.strip() for n in rows[0]], rows[1:], self._lines[1:]
            self._check_header()
        self._check_fields(exact or not names)

    def _check_header(self) -> None:
        twice = [name for name in self.header if name and self.header.count(name) > 1]
        if twice:
            raise self.error(-1, f"found column {shown(twice[0])} twice, expected each name once")

    def _check_fields(self, exact: bool) -> None:
        fields = len(self.header)
        for i, row in enumerate(self.rows):
            found = len(row)
            if found == fields or (found > fields and not exact):
                continue
            if found == fields + 1 and not row[-1].strip():
                continue
            raise self.error(i, f"found {found} fields, expected {fields}")

    def error(self, row: int, reason: str) -> SnakegymError:
        """An error in this row; -1 is the header."""
        line = 1 if row < 0 else self._lines[row]
        return SnakegymError(f"{self.path}, line {line}: {reason}")

    def column(self, name: str) -> list[str]:
        """The texts of a column."""
        if name not in self.header:
            raise self.error(-1, f"found columns {shown(', '.join(self.header))}, expected {name} among them")
        i = self.header.index(name)
        return [row[i] for row in self.rows]

    def numbers(
        self, name: str, legal: Callable[[Floats], Bools] | None = None, expected: str = ""
    ) -> Floats:
        """A column as finite floats for which `legal` holds; raises SnakegymError for the first other."""
        texts = self.column(name)
        try:
            together = "".join(texts)
            if not together.isascii() or "_" in together:
                raise ValueError
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
                raise self.error(i, f"{name} is {shown(text)}, expected a finite number >= 0 or nothing")
        return float(np.median(values)) if values else None

    def number(self, name: str, row: int, text: str) -> float:
        """One field as a float; raises SnakegymError."""
        try:
            return decimal(text)
        except ValueError:
            raise self.error(row, f"{name} is {shown(text)}, expected a number") from None

    def check(self, name: str, good: Bools, expected: str) -> None:
        """Raise SnakegymError for the first row that is not good."""
        if not good.all():
            i = int(np.argmin(good))
            raise self.error(i, f"{name} is {shown(self.column(name)[i])}, expected {expected}")


def _csv_rows(path: Path, lines: Sequence[str], delimiter: str) -> tuple[list[list[str]], Sequence[int]]:
    """The rows of a CSV file, and the line on which each of them ends."""
    if not any('"' in line for line in lines):
        return [line.split(delimiter) if line else [] for line in lines], range(1, len(lines) + 1)
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter, strict=True)
    rows, ends = [], []
    try:
        for row in reader:
            rows.append(row)
            ends.append(reader.line_num)
    except csv.Error as error:
        raise SnakegymError(f"{path}, line {reader.line_num}: cannot read the trace: {error}") from None
    return rows, ends
