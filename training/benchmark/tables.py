"""The tables of a benchmark: scores, who is told apart from whom, how long decisions take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from snakegym.training.analysis.intervals import ENOUGH, Estimate, describe, estimate
from snakegym.training.analysis.scores import Overall, Standing
from snakegym.training.analysis.summary import Analysis
from snakegym.training.benchmark.pieces import Latency
from snakegym.training.show.evaluation import PROBABILITY, marks_explained
from snakegym.training.show.tables import NONE, Cell, Column, Table, cell, interval, number

SCORE = Column("score", "Score")
RETURN = Column("total_reward", "Return")
BEST, EVEN = " ●", " ≈"
SIGNS = (
    "●: the highest return of those who know only what a scheduler can know; ≈: not told apart from it "
    f"(the interval of the paired difference holds 0, or rests on fewer than {ENOUGH} values)."
)
Standings = Mapping[str, Standing]
Analyses = Mapping[str, Analysis]


def overview_tables(
    labels: Sequence[str],
    references: tuple[str, str],
    standings: Standings,
    analyses: Analyses,
    total: Overall,
) -> list[Table]:
    """What all scenarios say: scores, returns, who is clearly better than whom, and how probably."""
    order = sorted(labels, key=lambda label: -total.scores[label].value if label in total.scores else np.inf)
    tables = [_scores(order, references, standings, total), _returns(order, standings, analyses)]
    if len(labels) > 1:
        tables += [_tallies(order, standings, total), _improvement(order, standings, total)]
    return tables


def standing_table(scenario: str, s: Standing, analysis: Analysis) -> Table:
    """The schedulers of a scenario by return, each with those it is not told apart from."""
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
        middle = estimate([e["median_ms"] for e in episodes]).value
        high = max(e["p95_ms"] for e in episodes)
        return Cell(f"{middle:.3g}", f"{high:.3g}, {max(e['worst_ms'] for e in episodes):.3g}")

    return Table(
        "A decision, ms",
        "Interquartile mean over episodes of the median; below, the highest 95th percentile of an episode "
        "and the longest decision. Wall time on this machine, with whatever else ran on it: the only numbers "
        "here that do not repeat.",
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
        SIGNS,
    ]
    if several:
        said.append("All: mean over the scenarios, each counting alike, of those who played in all of them.")
    if without:
        said.append(
            f"No scores in {', '.join(without)}: there {references[1]} is not clearly above {references[0]}."
        )

    def cells(label: str) -> list[Cell]:
        found = [_signed(s, s.scores, label, SCORE) for s in standings.values()]
        return [_of(total.scores, label, SCORE), *found] if several else found

    return Table(
        "Scores",
        " ".join(said) + marks_explained(order),
        ["Scheduler", *(["All"] if several else []), *standings],
        [(label, cells(label)) for label in order],
    )


def _returns(order: Sequence[str], standings: Standings, analyses: Analyses) -> Table:
    returns = {
        name: {label: measures["total_reward"] for label, measures in analysis.summary.items()}
        for name, analysis in analyses.items()
    }
    how = describe(e for each in returns.values() for e in each.values())
    return Table(
        "Returns",
        f"Interquartile means over episodes and training seeds; {how}. {SIGNS}{marks_explained(order)}",
        ["Scheduler", *standings],
        [
            (label, [_signed(s, returns[name], label, RETURN) for name, s in standings.items()])
            for label in order
        ],
    )


def _tallies(order: Sequence[str], standings: Standings, total: Overall) -> Table:
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


def _signed(s: Standing, values: Mapping[str, Estimate], label: str, column: Column) -> Cell:
    """A value, and whether it is the best or not told apart from it."""
    if label not in values:
        return Cell(NONE)
    sign = BEST if label == s.best else EVEN if s.best in s.even(label) else ""
    return Cell(number(values[label], column) + sign, interval(values[label], column))


def _beats(s: Standing, label: str, other: str) -> bool:
    e = s.difference[label][other]
    return e.is_clear and e.value > 0


def _all(s: Standing) -> list[Estimate]:
    return [e for row in s.difference.values() for e in row.values()]


def _scored(standings: Standings, total: Overall) -> list[Estimate]:
    return [e for each in (*(s.scores for s in standings.values()), total.scores) for e in each.values()]
