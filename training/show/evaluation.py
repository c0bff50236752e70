"""The tables of an evaluation: what schedulers reach and spend, how they compare, how soon they get there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from snakegym.training.analysis.groups import EXPLAINED, MARK, one_seed
from snakegym.training.analysis.intervals import ENOUGH, Estimate, describe
from snakegym.training.analysis.statistics import front
from snakegym.training.analysis.summary import PAIRED, Analysis, Summary
from snakegym.training.analysis.targets import TimeToTarget
from snakegym.training.show.tables import (
    NONE,
    Cell,
    Column,
    Table,
    cell,
    in_line,
    interval,
    kinds,
    measured,
    number,
    scaled,
)

COSTS = {"time_s": "time", "energy_j": "energy", "n_bytes": "bytes"}
"""Measures that are better the smaller they are, with their names."""
PROBABILITY = Column("probability", "P", 1, 2)
SHARE = Column("share", "Share %", 100, 0)
SECONDS = ((60, "min"), (1, "s"))


def unit_columns(summary: Mapping[str, Mapping[str, Estimate]], metric: str = "accuracy") -> list[Column]:
    """The measures of an evaluation, with units that suit the size of their values.

    `metric` is what accuracies are called.
    """

    def largest(key: str) -> float:
        return max(abs(measures[key].value) for measures in summary.values())

    return [
        Column("total_reward", "Return"),
        Column("test_accuracy", f"Test\n{metric} %", 100, 1),
        Column("validation_accuracy", f"Validation\n{metric} %", 100, 1),
        scaled("time_s", "Time", largest("time_s"), SECONDS, 3),
        scaled("energy_j", "Energy", largest("energy_j"), ((1e6, "MJ"), (1e3, "kJ"), (1, "J"))),
        scaled("n_bytes", "Bytes", largest("n_bytes"), ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B"))),
        Column("hops", "Hops", 1, 0 if largest("hops") >= 100 else 1),
        Column("interruptions", "Inter-\nruptions", 1, 1),
    ]


def evaluation_tables(title: str, analysis: Analysis) -> list[Table]:
    """Measures, comparison with the baseline, time to the target."""
    tables = [_measures(title, analysis)]
    if len(analysis.groups) > 1:
        tables.append(_comparison(analysis))
    return [*tables, _target(analysis)]


def measures_table(title: str, summary: Summary, note: str = "", metric: str = "accuracy") -> Table:
    """What each scheduler reaches and spends; `note` says more, `metric` what accuracies are called."""
    how = f"Interquartile mean over the episodes; {kinds(summary)}."
    return measured(title, f"{how} {note}".strip(), "Scheduler", summary, unit_columns(summary, metric))


def _measures(title: str, analysis: Analysis) -> Table:
    note = (
        f"Best trade-off: no other scheduler has at least its test {analysis.metric} for at most this cost."
    )
    seeds = one_seed(analysis.groups)
    if seeds:
        note += (
            f" {', '.join(seeds)}: one training seed, intervals are over episodes alone; another training "
            "may end outside of them."
        )
    note += marks_explained(analysis.groups)
    table = measures_table(title, analysis.summary, note, analysis.metric)
    rows = [(label, [*cells, Cell(_fronts(analysis.summary, label))]) for label, cells in table.rows]
    return Table(table.caption, table.note, [*table.head, "Best\ntrade-off"], rows)


def marks_explained(labels: Iterable[str]) -> str:
    """What the mark means, to add to a note, if one of these bears it."""
    return f" {EXPLAINED}" if any(label.endswith(MARK) for label in labels) else ""


def _fronts(summary: Summary, label: str) -> str:
    accuracies = [m["test_accuracy"].value for m in summary.values()]
    place = list(summary).index(label)
    won = [
        name
        for key, name in COSTS.items()
        if front([m[key].value for m in summary.values()], accuracies)[place]
    ]
    return ", ".join(won) or NONE


def _comparison(analysis: Analysis) -> Table:
    compared = [c for c in unit_columns(analysis.summary, analysis.metric) if c.key in PAIRED]
    titles = [in_line(c.title) for c in compared]
    head = [t for title in titles for t in (f"Difference:\n{title}", f"P({title.removesuffix(' %')})")]

    def cells(label: str) -> list[Cell]:
        found = []
        for c in compared:
            e = analysis.difference[label][c.key]
            star = " *" if e.is_clear else ""
            found += [
                Cell(number(e, c, "+") + star, interval(e, c)),
                cell(analysis.improvement[label][c.key], PROBABILITY),
            ]
        return found

    return Table(
        f"Compared with {analysis.baseline}, episode by episode",
        f"Interquartile mean of the differences; {kinds(analysis.difference)}. *: it excludes 0 and rests on "
        f"{ENOUGH} values or more. P: probability of being better on an episode, exact binomial interval; at "
        "0.5 neither is better.",
        ["Scheduler", *head],
        [(label, cells(label)) for label in analysis.difference],
    )


def _target(analysis: Analysis) -> Table:
    times = analysis.time_to_target
    column = scaled("time_s", "Time", max(t.time_s.value for t in times.values()), SECONDS, 3)

    def cells(t: TimeToTarget) -> Sequence[Cell]:
        bound = "≥ " if t.is_bound else ""
        return [cell(t.share, SHARE), Cell(bound + number(t.time_s, column), interval(t.time_s, column))]

    return Table(
        f"Time to {analysis.target:.0%} validation {analysis.metric}",
        "Share of the episodes that get there within the time budget, exact binomial interval; interquartile "
        f"mean of the simulated time, {describe(t.time_s for t in times.values())}. An episode that never "
        "gets there counts with the whole time budget (≥ : such episodes are in the middle half, the true "
        "time is longer).",
        ["Scheduler", "Episodes that\nreach it %", column.title],
        [(label, cells(t)) for label, t in times.items()],
    )
