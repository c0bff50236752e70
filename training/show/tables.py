"""Results as tables for people: units, few digits, intervals below the values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from snakegym.training.analysis.intervals import ENOUGH, Estimate, describe
from snakegym.training.analysis.targets import TimeToTarget


@dataclass(frozen=True)
class Column:
    """How a measure is printed."""

    key: str
    title: str
    factor: float = 1.0
    """From the stored unit to the printed one."""
    digits: int = 2


PROBABILITY = Column("probability", "P", 1, 2)
SHARE = Column("share", "Share %", 100, 0)


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
    out.print(f"[dim]interquartile mean over episodes, {kinds(summary)}[/dim]")


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
    title: str,
    paired: Mapping[str, Mapping[str, Estimate]],
    improvement: Mapping[str, Mapping[str, Estimate]],
    columns: Sequence[Column],
) -> Table:
    """Differences to a baseline, marked where they are clear, and probabilities of improvement."""
    table = plain_table(title)
    table.add_column("Scheduler", no_wrap=True)
    for column in columns:
        name = column.title.replace("\n", " ")
        table.add_column(name, justify="right", no_wrap=True)
        table.add_column(f"P({name.removesuffix(' %')})", justify="right", no_wrap=True)
    for label, measures in paired.items():
        cells = [
            text
            for c in columns
            for text in (_difference(measures[c.key], c), _in_line(improvement[label][c.key], PROBABILITY))
        ]
        table.add_row(escape(label), *cells)
    return table


def kinds(summary: Mapping[str, Mapping[str, Estimate]]) -> str:
    """What kind of intervals are in a summary, in words."""
    return describe(e for measures in summary.values() for e in measures.values())


PAIRED_NOTE = (
    f"*: the 95 % interval excludes 0 and rests on {ENOUGH} values or more; P: probability of being better "
    "on an episode, exact binomial interval"
)


def seed_note(labels: Sequence[str]) -> str:
    """What to say of schedulers that were trained with one seed; nothing if there are none."""
    if not labels:
        return ""
    return (
        f"{', '.join(labels)}: one training seed, intervals are over episodes alone; "
        "another training may end outside of them"
    )


def target_table(target: float, times: Mapping[str, TimeToTarget]) -> Table:
    """How often and how soon a validation accuracy is reached; a bound is marked as one."""
    column = time_column(times)
    table = plain_table(f"Time to {target:.0%} validation accuracy")
    table.add_column("Scheduler", no_wrap=True)
    table.add_column("Episodes that reach it %", justify="right", no_wrap=True)
    table.add_column(column.title.replace("\n", " "), justify="right", no_wrap=True)
    for label, t in times.items():
        bound = "≥ " if t.is_bound else ""
        table.add_row(escape(label), _in_line(t.share, SHARE), bound + _in_line(t.time_s, column))
    return table


def time_column(times: Mapping[str, TimeToTarget]) -> Column:
    """How the times to a target are printed."""
    return _scaled("time_s", "Time", max(t.time_s.value for t in times.values()), ((60, "min"), (1, "s")), 3)


def number(e: Estimate, column: Column, sign: str = "") -> str:
    """The value in the column's unit; `sign` as in a format specification."""
    return f"{e.value * column.factor:{sign}.{column.digits}f}"


def interval(e: Estimate, column: Column) -> str:
    """The interval in the column's unit, marked if it is by Student's t; nothing if there is none."""
    if e.low is None or e.high is None:
        return ""
    low, high = e.low * column.factor, e.high * column.factor
    return f"{low:.{column.digits}f} … {high:.{column.digits}f}" + (" t" if e.kind == "t" else "")


def cell(e: Estimate, column: Column) -> str:
    """Value and, on a second line, interval."""
    bounds = interval(e, column)
    return f"{number(e, column)}\n[dim]{bounds}[/dim]" if bounds else number(e, column)


def _difference(e: Estimate, column: Column) -> str:
    return f"{number(e, column, '+')}{'*' if e.is_clear else ' '}  [dim]{interval(e, column)}[/dim]"


def _in_line(e: Estimate, column: Column) -> str:
    return f"{number(e, column)}  [dim]{interval(e, column)}[/dim]"
