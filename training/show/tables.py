"""Tables for people, as plain data for a page or a terminal: units, few digits, intervals below values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from snakegym.training.analysis.intervals import Estimate, describe
from snakegym.training.tracking.tracker import Tracker

NONE = "-"


@dataclass(frozen=True)
class Column:
    """How a measure is printed."""

    key: str
    title: str
    """May be broken into lines."""
    factor: float = 1.0
    """From the stored unit to the printed one."""
    digits: int = 2


@dataclass(frozen=True)
class Cell:
    """A value with what stands below it in smaller letters."""

    value: str
    detail: str = ""


@dataclass(frozen=True)
class Table:
    """A table whose first column names the rows."""

    caption: str
    note: str
    """How to read it."""
    head: Sequence[str]
    """Titles of all columns; may be broken into lines."""
    rows: Sequence[tuple[str, Sequence[Cell]]]


def console() -> Console:
    """On standard output; a pipe or a file gets room for the widest table."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=170)


def print_tables(out: Console, tables: Iterable[Table]) -> None:
    """Print each with its note below; a table that is too wide for `out` is printed in two halves."""
    for table in tables:
        _print(out, table)
        out.print(f"[dim]{escape(table.note)}[/dim]\n" if table.note else "")


def log_tables(tracker: Tracker, group: str, tables: Sequence[Table]) -> None:
    """Log tables as people see them: as `group/1` and so on, the names of rows in the first column."""
    for number, table in enumerate(tables, 1):
        columns = [in_line(title) or f"column {i}" for i, title in enumerate(table.head)]
        rows = [
            [label, *(f"{c.value} ({c.detail})" if c.detail else c.value for c in cells)]
            for label, cells in table.rows
        ]
        tracker.table(f"{group}/{number}", columns, rows)


def _print(out: Console, table: Table) -> None:
    drawn = _drawn(table)
    width = drawn.__rich_measure__(out, out.options.update(max_width=1000)).maximum
    middle = (len(table.head) + 1) // 2
    if width <= out.width or middle < 2:
        out.print(drawn)
        return
    _print(out, replace(table, head=table.head[:middle], rows=[(n, c[: middle - 1]) for n, c in table.rows]))
    rest = [table.head[0], *table.head[middle:]]
    _print(out, replace(table, caption="", head=rest, rows=[(n, c[middle - 1 :]) for n, c in table.rows]))


def _drawn(table: Table) -> RichTable:
    drawn = plain_table(table.caption)
    for i, title in enumerate(table.head):
        drawn.add_column(escape(title), justify="right" if i else "left", no_wrap=True)
    for label, cells in table.rows:
        drawn.add_row(escape(label), *map(_text, cells))
    return drawn


def _text(shown: Cell) -> str:
    value, detail = escape(shown.value), escape(shown.detail)
    return f"{value}\n[dim]{detail}[/dim]" if detail else value


def plain_table(title: str) -> RichTable:
    """An empty table in the style of all of them."""
    return RichTable(
        title=escape(title) or None,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=SIMPLE_HEAD,
        padding=(0, 1),
        pad_edge=False,
    )


def measured(
    caption: str,
    note: str,
    first: str,
    summary: Mapping[str, Mapping[str, Estimate]],
    columns: Sequence[Column],
) -> Table:
    """One row for each label of a summary, one column for each measure; `first` is the labels' title."""
    rows = [(label, [cell(measures[c.key], c) for c in columns]) for label, measures in summary.items()]
    return Table(caption, note, [first, *(c.title for c in columns)], rows)


def kinds(summary: Mapping[str, Mapping[str, Estimate]]) -> str:
    """What kind of intervals are in a summary, in words."""
    return describe(e for measures in summary.values() for e in measures.values())


def scaled(
    key: str, title: str, largest: float, units: Sequence[tuple[float, str]], least: float = 1
) -> Column:
    """A column in the first unit of which the largest value is `least` or more, with three digits or so."""
    size, unit = next((u for u in units if largest >= least * u[0]), units[-1])
    shown = largest / size
    return Column(key, f"{title}\n{unit}", 1 / size, 0 if shown >= 100 else 1 if shown >= 10 else 2)


def number(e: Estimate, column: Column, sign: str = "") -> str:
    """The value in the column's unit; `sign` as in a format specification."""
    return f"{e.value * column.factor:{sign}.{column.digits}f}"


def interval(e: Estimate, column: Column) -> str:
    """The interval in the column's unit, marked if it is by Student's t; nothing if there is none."""
    if e.low is None or e.high is None:
        return ""
    low, high = e.low * column.factor, e.high * column.factor
    return f"{low:.{column.digits}f} … {high:.{column.digits}f}" + (" t" if e.kind == "t" else "")


def cell(e: Estimate, column: Column) -> Cell:
    """Value, and interval below."""
    return Cell(number(e, column), interval(e, column))


def in_line(title: str) -> str:
    """A column's title without its line breaks."""
    return title.replace("-\n", "").replace("\n", " ")


def as_markdown(table: Table) -> str:
    """The table for a page in Markdown: caption, how to read it, values with their details behind them."""
    head = " | ".join(_plain(in_line(title)) for title in table.head)
    lines = [f"| {head} |", "|---" * len(table.head) + "|"]
    for label, cells in table.rows:
        shown = (f"{c.value} [{c.detail}]" if c.detail else c.value for c in cells)
        lines.append(f"| {' | '.join(map(_plain, (label, *shown)))} |")
    return "\n".join([f"**{_plain(table.caption)}.** {_plain(table.note)}", "", *lines, ""])


def _plain(text: str) -> str:
    """Text as it is: what Markdown would take for signs of its own is escaped."""
    return re.sub(r"([\\`*_<|])", r"\\\1", text)
