"""The tables of a benchmark: scores, who is told apart from whom, how long decisions take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from snakegym.training.analysis.intervals import ENOUGH, Estimate, describe, estimate
from snakegym.training.analysis.scores import Overall, Standing
from snakegym.training.analysis.summary import Analysis
from snakegym.training.benchmark.pieces import Latency
from snakegym.training.benchmark.scenes import BenchmarkResult
from snakegym.training.show.evaluation import (
    COSTS,
    PROBABILITY,
    SECONDS,
    SHARE,
    marks_explained,
    unit_columns,
)
from snakegym.training.show.tables import NONE, Cell, Column, Table, cell, interval, number, scaled

SCORE = Column("score", "Score")
RETURN = Column("total_reward", "Return")
BEST, EVEN = " ●", " ≈"
TITLES = {
    "total_reward": "Return",
    "test_accuracy": "Test {metric}, %",
    "time_s": "Time",
    "energy_j": "Energy",
    "n_bytes": "Bytes",
}
"""Measures that have a table over all scenarios."""
Standings = Mapping[str, Standing]
Analyses = Mapping[str, Analysis]


def overview_tables(result: BenchmarkResult) -> list[Table]:
    """What all scenarios say: scores, who is clearly better than whom and how probably, every measure."""
    order, standings, analyses, total = result.ranking, result.standings, result.analyses, result.overall
    metric = " or ".join(sorted({analysis.metric for analysis in analyses.values()}))
    return [
        _scores(order, result.references, standings, total),
        _tallies(order, total),
        _improvement(order, standings, total),
        *(
            _measure(order, measure, title.format(metric=metric), standings, analyses)
            for measure, title in TITLES.items()
        ),
        _targets(order, analyses),
    ]


def standing_table(scenario: str, result: BenchmarkResult) -> Table:
    """The schedulers of a scenario by return, each with those it is not told apart from."""
    s, analysis = result.standings[scenario], result.analyses[scenario]
    returns = {label: measures["total_reward"] for label, measures in analysis.summary.items()}
    order = sorted(returns, key=lambda label: -returns[label].value)

    def cells(label: str) -> list[Cell]:
        worse = [other for other in order if other in s.difference[label] and _beats(s, label, other)]
        return [
            cell(returns[label], RETURN),
            cell(s.scores[label], SCORE) if label in s.scores else Cell(NONE),
            Cell(", ".join(other for other in order if other in s.even(label)) or NONE),
            Cell(", ".join(worse) or NONE),
        ]

    return Table(
        f"Who is told apart from whom in {scenario}",
        f"By paired differences of the return, episode by episode; {describe(_all(s))}. Told apart: the "
        f"interval does not hold 0 and rests on {ENOUGH} values or more.{marks_explained(order)}",
        ["Scheduler", RETURN.title, SCORE.title, "Not told apart from", "Clearly better than"],
        [(label, cells(label)) for label in order],
    )


def latency_table(latencies: Mapping[str, Mapping[str, Sequence[Latency]]]) -> Table:
    """How long a decision takes.

    Args:
        latencies: of every scheduler (outer) in every scenario (inner) its episodes.
    """
    scenarios = list(dict.fromkeys(name for each in latencies.values() for name in each))

    def shown(episodes: Sequence[Latency] | None) -> Cell:
        if not episodes:
            return Cell(NONE)
        wall, cpu = (estimate([e[key] for e in episodes]).value for key in ("median_ms", "median_cpu_ms"))
        high, worst = (max(e[key] for e in episodes) for key in ("p95_ms", "worst_ms"))
        return Cell(f"{wall:.3g}", f"CPU {cpu:.3g}; {high:.3g}, {worst:.3g}")

    return Table(
        "A decision, ms",
        "Interquartile mean over episodes of the median: wall time, below it processor time; then the "
        "highest 95th percentile of an episode and the longest decision, wall time. On this machine, with "
        "whatever else ran on it: the only numbers here that do not repeat.",
        ["Scheduler", *scenarios],
        [(label, [shown(each.get(name)) for name in scenarios]) for label, each in latencies.items()],
    )


def _scores(order: Sequence[str], references: tuple[str, str], standings: Standings, total: Overall) -> Table:
    several = len(standings) > 1
    without = [name for name, s in standings.items() if not s.scores]
    how = _scored(standings, total)
    said = [
        f"The return on a scale on which {references[0]} is 0 and {references[1]} is 1: ratio of "
        f"interquartile means of paired differences{'; ' + describe(how) if how else ''}.",
        _signs(SCORE.key),
    ]
    if several:
        said.append("All: mean over the scenarios, each counting alike, of those who played in all of them.")
    if without:
        said.append(
            f"No scores in {', '.join(without)}: there {references[1]} is not clearly above {references[0]}."
        )

    def cells(label: str) -> list[Cell]:
        found = [_signed(s, SCORE.key, s.scores, label, SCORE) for s in standings.values()]
        return [_of(total.scores, label, SCORE), *found] if several else found

    return Table(
        "Scores",
        " ".join(said) + marks_explained(order),
        ["Scheduler", *(["All"] if several else []), *standings],
        [(label, cells(label)) for label in order],
    )


def _measure(
    order: Sequence[str], measure: str, title: str, standings: Standings, analyses: Analyses
) -> Table:
    """One measure of all schedulers in all scenarios, in units that suit each scenario."""
    columns = {
        name: next(c for c in unit_columns(analysis.summary) if c.key == measure)
        for name, analysis in analyses.items()
    }
    values = {
        name: {label: measures[measure] for label, measures in analysis.summary.items()}
        for name, analysis in analyses.items()
    }
    units = {name: column.title.partition("\n")[2] for name, column in columns.items() if measure in COSTS}
    how = describe(e for each in values.values() for e in each.values())
    return Table(
        title,
        f"Interquartile means over episodes and training seeds; {how}. {_signs(measure)}"
        + marks_explained(order),
        ["Scheduler", *(f"{name}\n{units[name]}" if name in units else name for name in standings)],
        [
            (
                label,
                [_signed(s, measure, values[name], label, columns[name]) for name, s in standings.items()],
            )
            for label in order
        ],
    )


def _targets(order: Sequence[str], analyses: Analyses) -> Table:
    """Time to the target in all scenarios."""
    found = {name: analysis.time_to_target for name, analysis in analyses.items()}
    columns = {
        name: scaled("time_s", name, max(t.time_s.value for t in each.values()), SECONDS, 3)
        for name, each in found.items()
    }

    def shown(name: str, label: str) -> Cell:
        if label not in found[name]:
            return Cell(NONE)
        t = found[name][label]
        bound = "≥ " if t.is_bound else ""
        reached = f"{number(t.share, SHARE)} % ({interval(t.share, SHARE)})"
        return Cell(
            bound + number(t.time_s, columns[name]), f"{interval(t.time_s, columns[name])}; {reached}"
        )

    heads = [f"{columns[name].title},\nto {analysis.target:.0%}" for name, analysis in analyses.items()]
    return Table(
        "Time to a target accuracy",
        "Simulated time until the validation accuracy is that of the column; interquartile mean, and the "
        "share of the episodes that get there within the budget. An episode that never does counts with the "
        "whole budget (≥ : such episodes are in the middle half, the true time is longer)."
        + marks_explained(order),
        ["Scheduler", *heads],
        [(label, [shown(name, label) for name in found]) for label in order],
    )


def _tallies(order: Sequence[str], total: Overall) -> Table:
    def shown(row: str, column: str) -> Cell:
        tally = total.tallies[row].get(column)
        return Cell(f"{tally.better} : {tally.even} : {tally.worse}" if tally else NONE)

    return Table(
        "In how many scenarios clearly better : not told apart : clearly worse",
        "The scheduler in the row against the one in the column, by paired differences of the return."
        + marks_explained(order),
        ["Scheduler", *order],
        [(row, [shown(row, column) for column in order]) for row in order],
    )


def _improvement(order: Sequence[str], standings: Standings, total: Overall) -> Table:
    return Table(
        "Probability that the scheduler in the row has the higher return on an episode",
        "Against the scheduler in the column; ties count half. "
        + ("Mean over the scenarios in which both played; " if len(standings) > 1 else "Exact ")
        + "binomial 95 % intervals. Where one holds 0.5, neither is better for all that is known."
        + marks_explained(order),
        ["Scheduler", *order],
        [(row, [_of(total.improvement[row], column, PROBABILITY) for column in order]) for row in order],
    )


def _of(values: Mapping[str, Estimate], key: str, column: Column) -> Cell:
    return cell(values[key], column) if key in values else Cell(NONE)


def _signs(measure: str) -> str:
    """What the signs mean."""
    titles = {
        RETURN.key: "the highest return",
        SCORE.key: "the highest score",
        **dict.fromkeys(COSTS, "the least"),
    }
    what = titles.get(measure, "the highest")
    return (
        f"●: {what} of those who know only what a scheduler can know; ≈: not told apart from it (the "
        f"interval of the paired difference holds 0, or rests on fewer than {ENOUGH} values)."
    )


def _signed(s: Standing, measure: str, values: Mapping[str, Estimate], label: str, column: Column) -> Cell:
    """A value, and whether it is the best in that measure or not told apart from the best."""
    if label not in values:
        return Cell(NONE)
    lead = s.leads[measure]
    sign = BEST if label == lead.best else EVEN if label in lead.even else ""
    return Cell(number(values[label], column) + sign, interval(values[label], column))


def _beats(s: Standing, label: str, other: str) -> bool:
    e = s.difference[label][other]
    return e.is_clear and e.value > 0


def _all(s: Standing) -> list[Estimate]:
    return [e for row in s.difference.values() for e in row.values()]


def _scored(standings: Standings, total: Overall) -> list[Estimate]:
    return [e for each in (*(s.scores for s in standings.values()), total.scores) for e in each.values()]
