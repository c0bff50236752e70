"""What is in a folder of traces, as tables for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from snakegym.network.traces.formats.base import Kind
from snakegym.network.traces.splits import SHARES, split_of
from snakegym.network.traces.summary import Items, Summary, strata, summarise
from snakegym.training.show.tables import plain_table
from snakegym.training.traces.config import Rules

UNITS: dict[Kind, str] = {"link": "Mbit/s", "compute": "share of the compute that is free"}


def print_kind(out: Console, kind: Kind, items: Items, rules: Rules) -> None:
    """Figures by source and scenario, and what is missing from a split."""
    groups = strata(items)
    rows = [(*names, summarise(members, rules.gap_s)) for names, members in groups.items()]
    rows.append(("all", "", summarise(items, rules.gap_s)))
    columns = COLUMNS if kind == "link" else [c for c in COLUMNS if not c.links_only]
    tables = [_table(f"{kind} traces, {UNITS[kind]}", columns, rows)]
    if tables[0].__rich_measure__(out, out.options.update(max_width=1000)).maximum > out.width:
        parts = [[c for c in columns if c.value is value] for value in (False, True)]
        tables = [_table(f"{kind} traces", parts[0], rows), _table(UNITS[kind], parts[1], rows)]
    for table in tables:
        out.print(table)
    for split in SHARES:
        without = [
            " ".join(filter(None, stratum))
            for stratum, members in groups.items()
            if all(split_of(origin.key) != split for origin, _ in members)
        ]
        if without:
            out.print(f"[dim]none in {split}: {escape(', '.join(without))}[/dim]")
    if kind == "link":
        out.print(
            f"[dim]Values are of the downlink, where that was not measured of the uplink. Gaps longer than "
            f"{rules.gap_s:g} s are outages. A direction that was not measured: "
            f"{rules.missing_direction}.[/dim]"
        )
    out.print()


@dataclass(frozen=True)
class Figure:
    """A column of `inspect`."""

    title: str
    text: Callable[[Summary], str]
    links_only: bool = False
    value: bool = False
    """Of what was measured, rather than of when and how much."""


COLUMNS = [
    Figure("Traces", lambda s: str(s.traces)),
    Figure("Train/valid./\ntest", lambda s: "/".join(str(s.splits[split]) for split in SHARES)),
    Figure("Both/down/up\nmeasured", lambda s: "/".join(map(str, s.directions)), links_only=True),
    Figure("Hours", lambda s: f"{s.duration_s / 3600:.1f}"),
    Figure("Samples", lambda s: str(s.samples)),
    Figure("Longest\ngap s", lambda s: f"{s.max_gap_s:g}"),
    Figure("Outages", lambda s: str(s.outages), links_only=True),
    Figure("Out\nhours", lambda s: f"{s.outage_s / 3600:.2f}", links_only=True),
    Figure("Mean", lambda s: f"{s.mean:.4g}", value=True),
    Figure("5 %", lambda s: f"{s.quantiles[0]:.3g}", value=True),
    Figure("Median", lambda s: f"{s.quantiles[1]:.4g}", value=True),
    Figure("95 %", lambda s: f"{s.quantiles[2]:.4g}", value=True),
]


def _table(title: str, columns: Sequence[Figure], rows: Sequence[tuple[str, str, Summary]]) -> Table:
    table = plain_table(title)
    table.add_column("Source", no_wrap=True)
    table.add_column("Scenario", no_wrap=True)
    for column in columns:
        table.add_column(column.title, justify="right", no_wrap=True)
    for source, scenario, summary in rows:
        last = summary is rows[-1][-1]
        cells = (column.text(summary) for column in columns)
        table.add_row(escape(source), escape(scenario), *cells, style="bold" if last else "")
    return table
