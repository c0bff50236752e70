"""Results as tables for people: units, few digits, intervals below the values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from training.statistics import Estimate


@dataclass(frozen=True)
class Column:
    """How a measure is printed."""

    key: str
    title: str
    factor: float = 1.0
    """From the stored unit to the printed one."""
    digits: int = 2


def console() -> Console:
    """On standard output; a pipe or a file gets room for the widest table."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=140)


def unit_columns(summary: Mapping[str, Mapping[str, Estimate]]) -> list[Column]:
    """The measures of an evaluation, with units that suit the size of their values."""

    def largest(key: str) -> float:
        return max(abs(measures[key].value) for measures in summary.values())

    return [
        Column("total_reward", "Return"),
        Column("test_accuracy", "Test\naccuracy %", 100, 1),
        Column("validation_accuracy", "Validation\naccuracy %", 100, 1),
        _scaled("time_s", "Time", largest("time_s"), ((60, "min"), (1, "s")), 3),
        _scaled("energy_j", "Energy", largest("energy_j"), ((1e6, "MJ"), (1e3, "kJ"), (1, "J"))),
        _scaled("n_bytes", "Bytes", largest("n_bytes"), ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B"))),
        Column("hops", "Hops", 1, 0 if largest("hops") >= 100 else 1),
        Column("interruptions", "Inter-\nruptions", 1, 1),
    ]


def _scaled(
    key: str, title: str, largest: float, units: Sequence[tuple[float, str]], least: float = 1
) -> Column:
    size, unit = next((u for u in units if largest >= least * u[0]), units[-1])
    return Column(key, f"{title}\n{unit}", 1 / size, _digits(largest / size))


def _digits(largest: float) -> int:
    """Three significant ones, about."""
    return 0 if largest >= 100 else 1 if largest >= 10 else 2


def print_measures(
    out: Console, title: str, summary: Mapping[str, Mapping[str, Estimate]], columns: Sequence[Column]
) -> None:
    """One row a scheduler, value above and interval below; two tables if one is too wide for `out`."""
    tables = [_measures(title, summary, columns)]
    if tables[0].__rich_measure__(out, out.options.update(max_width=1000)).maximum > out.width:
        tables = [_measures(title, summary, columns[:3]), _measures("", summary, columns[3:])]
    for table in tables:
        out.print(table)
    out.print("[dim]interquartile mean over episodes, 95 % bootstrap interval[/dim]\n")


def _measures(title: str, summary: Mapping[str, Mapping[str, Estimate]], columns: Sequence[Column]) -> Table:
    table = plain_table(title)
    table.add_column("Scheduler", no_wrap=True)
    for column in columns:
        table.add_column(escape(column.title), justify="right", no_wrap=True)
    for label, measures in summary.items():
        table.add_row(escape(label), *(cell(measures[c.key], c) for c in columns))
    return table


def plain_table(title: str) -> Table:
    """An empty table in the style of all of them."""
    return Table(
        title=escape(title) or None,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=SIMPLE_HEAD,
        padding=(0, 1),
        pad_edge=False,
    )


def paired_table(
    title: str, paired: Mapping[str, Mapping[str, Estimate]], columns: Sequence[Column]
) -> Table:
    """Differences to a baseline; those whose interval excludes 0 are marked."""
    table = plain_table(title)
    table.add_column("Scheduler", no_wrap=True)
    for column in columns:
        table.add_column(column.title.replace("\n", " "), justify="right", no_wrap=True)
    for label, measures in paired.items():
        table.add_row(escape(label), *(_difference(measures[c.key], c) for c in columns))
    return table


def _difference(e: Estimate, column: Column) -> str:
    mark = "*" if e.excludes_zero else " "
    return f"{e.value * column.factor:+.{column.digits}f}{mark}  [dim]{_interval(e, column)}[/dim]"


def cell(e: Estimate, column: Column) -> str:
    """Value and, on a second line, interval."""
    value, interval = f"{e.value * column.factor:.{column.digits}f}", _interval(e, column)
    return f"{value}\n[dim]{interval}[/dim]" if interval else value


def _interval(e: Estimate, column: Column) -> str:
    if e.low is None or e.high is None:
        return ""
    low, high = e.low * column.factor, e.high * column.factor
    return f"{low:.{column.digits}f} … {high:.{column.digits}f}"
