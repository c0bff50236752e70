"""The tables of a report page, as plain data for its template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from snakegym.training.analysis.groups import group, one_seed
from snakegym.training.analysis.intervals import Estimate, describe, probability_of_improvement
from snakegym.training.analysis.read import Evaluation
from snakegym.training.analysis.statistics import front
from snakegym.training.analysis.summary import PAIRED, Analysis, Summary, against, summarise
from snakegym.training.show.summary_plots import COSTS
from snakegym.training.show.tables import (
    PAIRED_NOTE,
    PROBABILITY,
    SHARE,
    Column,
    interval,
    kinds,
    number,
    seed_note,
    time_column,
    unit_columns,
)

NONE = "-"


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
    head: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]


def section_tables(evaluation: Evaluation, analysis: Analysis) -> list[Table]:
    """All tables of one evaluation."""
    columns = unit_columns(analysis.summary)
    tables = [_measures(analysis, columns)]
    if len(analysis.groups) > 1:
        tables.append(_comparison(analysis, columns))
    if len(analysis.groups) > 2:
        tables.append(_duels(analysis))
    tables.append(_target(analysis))
    if any(len(runs.seeds) > 1 for runs in analysis.groups.values()):
        tables.append(_seeds(evaluation, columns))
    return tables


def overview(titles: Sequence[str], analyses: Sequence[Analysis]) -> Table:
    """Test accuracy and return of every scheduler in every section."""
    accuracy, total = Column("test_accuracy", "", 100, 1), Column("total_reward", "")
    labels = list(dict.fromkeys(label for a in analyses for label in a.groups))

    def cell(summary: Summary, label: str) -> Cell:
        if label not in summary:
            return Cell(NONE)
        measures = summary[label]
        return Cell(
            f"{number(measures[accuracy.key], accuracy)} %", f"return {number(measures[total.key], total)}"
        )

    return Table(
        "All sections: test accuracy, and return",
        "Interquartile means. Compare within a column: every section has episodes of its own.",
        ["Scheduler", *titles],
        [(label, [cell(a.summary, label) for a in analyses]) for label in labels],
    )


def trace_table(traces: Sequence[Mapping[str, object]]) -> Table:
    """How many traces there were of each kind, by where they come from and by split."""
    keys = [
        tuple(str(t.get(k) or NONE) for k in ("kind", "source", "scenario", "format", "split"))
        for t in traces
    ]
    hours: Counter[tuple[str, ...]] = Counter()
    for key, t in zip(keys, traces, strict=True):
        hours[key] += float(str(t.get("hours") or 0))  # type: ignore[assignment]  # typeshed: int alone
    return Table(
        "Traces that the episodes could draw from",
        "Whole files belong to one split, by their content.",
        ["Kind", "Source", "Scenario", "Format", "Split", "Traces", "Hours"],
        [
            (key[0], [*(Cell(part) for part in key[1:]), Cell(str(count)), Cell(f"{hours[key]:.1f}")])
            for key, count in sorted(Counter(keys).items())
        ],
    )


def _measures(analysis: Analysis, columns: Sequence[Column]) -> Table:
    return Table(
        "What each scheduler reaches and spends",
        f"Interquartile mean over the episodes, {kinds(analysis.summary)} below. Best trade-off: no other "
        "scheduler has at least its test accuracy for at most this cost."
        + (f" {seeds}." if (seeds := seed_note(one_seed(analysis.groups))) else ""),
        ["Scheduler", *(_title(c) for c in columns), "Best trade-off"],
        [
            (label, [*(_cell(measures[c.key], c) for c in columns), Cell(_fronts(analysis.summary, label))])
            for label, measures in analysis.summary.items()
        ],
    )


def _fronts(summary: Summary, label: str) -> str:
    accuracies = [m["test_accuracy"].value for m in summary.values()]
    place = list(summary).index(label)
    names = {"time_s": "time", "energy_j": "energy", "n_bytes": "bytes"}
    won = [names[key] for key in COSTS if front([m[key].value for m in summary.values()], accuracies)[place]]
    return ", ".join(won) or NONE


def _comparison(analysis: Analysis, columns: Sequence[Column]) -> Table:
    compared = [c for c in columns if c.key in PAIRED]
    head = [t for c in compared for t in (f"Difference: {_title(c)}", f"P(better): {_title(c, unit=False)}")]

    def cells(label: str) -> list[Cell]:
        return [
            cell
            for c in compared
            for cell in (
                _difference(analysis.difference[label][c.key], c),
                _cell(analysis.improvement[label][c.key], PROBABILITY),
            )
        ]

    return Table(
        f"Compared with {analysis.baseline}, episode by episode",
        f"Interquartile mean of the differences, {kinds(analysis.difference)}. {PAIRED_NOTE}; 0.5: neither "
        "is better.",
        ["Scheduler", *head],
        [(label, cells(label)) for label in analysis.difference],
    )


def _duels(analysis: Analysis) -> Table:
    labels = list(analysis.groups)
    wins = {
        other: against(analysis.groups, other, probability_of_improvement, ("total_reward",))
        for other in labels
    }

    def cell(label: str, other: str) -> Cell:
        return Cell(NONE) if label == other else _cell(wins[other][label]["total_reward"], PROBABILITY)

    return Table(
        "Probability that the scheduler in the row has the higher return on an episode",
        "Against the scheduler in the column; exact binomial 95 % interval below.",
        ["Scheduler", *labels],
        [(label, [cell(label, other) for other in labels]) for label in labels],
    )


def _target(analysis: Analysis) -> Table:
    column = time_column(analysis.time_to_target)
    times = analysis.time_to_target.values()
    rows = []
    for label, t in analysis.time_to_target.items():
        bound = "≥ " if t.is_bound else ""
        time = Cell(bound + number(t.time_s, column), interval(t.time_s, column))
        rows.append((label, [_cell(t.share, SHARE), time]))
    return Table(
        f"Time to {analysis.target:.0%} validation accuracy",
        "Share of the episodes that get there within the time budget, exact binomial 95 % interval below, "
        f"and interquartile mean of the simulated time, {describe(t.time_s for t in times)} below; an "
        "episode that never gets there counts with the whole budget (≥ : such episodes are in the middle "
        "half, the true time is longer).",
        ["Scheduler", "Episodes that reach it %", _title(column)],
        rows,
    )


def _seeds(evaluation: Evaluation, columns: Sequence[Column]) -> Table:
    summary = summarise(group({s: e for s, e in evaluation.records.items() if s in evaluation.trained}))
    return Table(
        "Every training run by itself",
        f"Interquartile mean over the episodes, {kinds(summary)} over the episodes below.",
        ["Run", "Training seed", *(_title(c) for c in columns)],
        [
            (
                spec,
                [Cell(str(evaluation.trained[spec]["seed"])), *(_cell(measures[c.key], c) for c in columns)],
            )
            for spec, measures in summary.items()
        ],
    )


def _title(column: Column, unit: bool = True) -> str:
    title = column.title.replace("-\n", "").replace("\n", " ")
    return title if unit else title.removesuffix(" %")


def _cell(e: Estimate, column: Column) -> Cell:
    return Cell(number(e, column), interval(e, column))


def _difference(e: Estimate, column: Column) -> Cell:
    return Cell(number(e, column, "+") + (" *" if e.is_clear else ""), interval(e, column))
