"""The tables that a report page has beside those of every evaluation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from snakegym.scenario import score_name
from snakegym.training.analysis.groups import group
from snakegym.training.analysis.intervals import probability_of_improvement
from snakegym.training.analysis.read import Evaluation
from snakegym.training.analysis.summary import Analysis, Summary, every_pair, summarise
from snakegym.training.show.evaluation import PROBABILITY, evaluation_tables, measures_table
from snakegym.training.show.tables import NONE, Cell, Column, Table, cell, number


def section_tables(evaluation: Evaluation, analysis: Analysis) -> list[Table]:
    """All tables of one evaluation."""
    tables = evaluation_tables("What each scheduler reaches and spends", analysis)
    if len(analysis.groups) > 2:
        tables.insert(2, _duels(analysis))
    if any(len(runs.seeds) > 1 for runs in analysis.groups.values()):
        tables.append(_seeds(evaluation))
    return tables


def overview(titles: Sequence[str], analyses: Sequence[Analysis]) -> Table:
    """Test accuracy and return of every scheduler in every section."""
    accuracy, total = Column("test_accuracy", "", 100, 1), Column("total_reward", "")
    labels = list(dict.fromkeys(label for a in analyses for label in a.groups))

    def both(summary: Summary, label: str) -> Cell:
        if label not in summary:
            return Cell(NONE)
        measures = summary[label]
        return Cell(
            f"{number(measures[accuracy.key], accuracy)} %", f"return {number(measures[total.key], total)}"
        )

    return Table(
        f"All sections: test {' or '.join(sorted({a.metric for a in analyses}))}, and return",
        "Interquartile means. Compare within a column: every section has episodes of its own.",
        ["Scheduler", *titles],
        [(label, [both(a.summary, label) for a in analyses]) for label in labels],
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


def _duels(analysis: Analysis) -> Table:
    labels = list(analysis.groups)
    wins = every_pair(analysis.groups, probability_of_improvement)

    def duel(label: str, other: str) -> Cell:
        return Cell(NONE) if label == other else cell(wins[label][other], PROBABILITY)

    return Table(
        "Probability that the scheduler in the row has the higher return on an episode",
        "Against the scheduler in the column; exact binomial 95 % interval below.",
        ["Scheduler", *labels],
        [(label, [duel(label, other) for other in labels]) for label in labels],
    )


def _seeds(evaluation: Evaluation) -> Table:
    summary = summarise(group({s: e for s, e in evaluation.records.items() if s in evaluation.trained}))
    metric = score_name(evaluation.scenario["data"]["dataset"])
    table = measures_table("Every training run by itself", summary, "The episodes alone vary.", metric)
    rows = [(spec, [Cell(str(evaluation.trained[spec]["seed"])), *cells]) for spec, cells in table.rows]
    return Table(table.caption, table.note, ["Run", "Training\nseed", *table.head[1:]], rows)
