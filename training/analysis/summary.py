"""From the episodes of an evaluation to numbers, files and pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape

from snakegym.envs.reward import TERMS
from snakegym.training.analysis.groups import (
    Groups,
    Records,
    Training,
    choose_baseline,
    flat,
    group,
    label_of,
    one_seed,
    table,
)
from snakegym.training.analysis.intervals import (
    Estimate,
    estimate,
    paired_difference,
    probability_of_improvement,
)
from snakegym.training.analysis.targets import TimeToTarget, default_target, time_to_target
from snakegym.training.runs.folder import to_csv, write_text
from snakegym.training.show.tables import (
    PAIRED_NOTE,
    console,
    paired_table,
    print_measures,
    seed_note,
    target_table,
    unit_columns,
)

MEASURES = (
    "total_reward",
    "test_accuracy",
    "validation_accuracy",
    "time_s",
    "energy_j",
    "n_bytes",
    "hops",
    "interruptions",
)
PAIRED = ("total_reward", "test_accuracy")
CSV_COLUMNS = (
    "scheduler",
    "episode",
    "seed",
    *MEASURES,
    "waits",
    "illegal",
    "ended",
    *(f"reward_{t}" for t in TERMS),
)

Summary = dict[str, dict[str, Estimate]]


@dataclass(frozen=True)
class Analysis:
    """What an evaluation says about its schedulers; training seeds count as one scheduler."""

    groups: Groups
    baseline: str
    summary: Summary
    """Interquartile means of MEASURES."""
    difference: Summary
    """Of PAIRED to the baseline's, episode by episode."""
    improvement: Summary
    """Probability of being above the baseline in PAIRED."""
    target: float
    """Validation accuracy."""
    time_to_target: Mapping[str, TimeToTarget]


def analyse(
    records: Records,
    trained: Mapping[str, Training],
    scenario: Mapping[str, Any],
    target: float | None = None,
    baseline: str | None = None,
) -> Analysis:
    """All numbers of an evaluation; the same for the same episodes.

    Args:
        records: the episodes of every scheduler.
        trained: how those were trained that were.
        scenario: as JSON data.
        target: validation accuracy to time; default: the scenario's, else what the baseline reaches.
        baseline: the scheduler to compare with, as it was asked for; default: as `choose_baseline` says.
    """
    groups = group(records, trained)
    baseline = choose_baseline(groups) if baseline is None else label_of(baseline, records, groups)
    process = scenario["process"]
    target = target or process.get("target") or default_target(groups, baseline)
    return Analysis(
        groups,
        baseline,
        summarise(groups),
        against(groups, baseline, paired_difference),
        against(groups, baseline, probability_of_improvement),
        target,
        {k: time_to_target(runs, target, process["budget"]["time_s"]) for k, runs in groups.items()},
    )


def summarise(groups: Groups) -> Summary:
    """Interquartile mean and interval of every measure of every scheduler."""
    return {
        label: {name: estimate(table(runs, name), trained=runs.trained) for name in MEASURES}
        for label, runs in groups.items()
    }


def against(
    groups: Groups,
    baseline: str,
    statistic: Callable[..., Estimate],
    measures: Sequence[str] = PAIRED,
) -> Summary:
    """All other schedulers compared with one by `paired_difference` or `probability_of_improvement`."""
    base = groups[baseline]
    return {
        label: {
            name: statistic(
                table(runs, name),
                table(base, name),
                trained=runs.trained,
                baseline_trained=base.trained,
            )
            for name in measures
        }
        for label, runs in groups.items()
        if label != baseline
    }


def as_json(header: Mapping[str, Any], records: Records, analysis: Analysis) -> str:
    """Content of evaluation.json: nothing in it depends on when and where it was made."""
    data = {
        **header,
        "baseline": analysis.baseline,
        "summary": _plain(analysis.summary),
        "paired_difference": _plain(analysis.difference),
        "probability_of_improvement": _plain(analysis.improvement),
        "target": analysis.target,
        "time_to_target": {label: asdict(t) for label, t in analysis.time_to_target.items()},
        "episodes": records,
    }
    return json.dumps(data, indent=1, sort_keys=True, allow_nan=False) + "\n"


def as_csv(records: Records) -> str:
    """Content of evaluation.csv: a row for each scheduler and episode."""
    rows = [
        {"scheduler": label, **e, **{f"reward_{t}": e["rewards"][t] for t in TERMS}}
        for label, episodes in records.items()
        for e in episodes
    ]
    return to_csv(rows, CSV_COLUMNS)


def write_pictures(folder: Path, analysis: Analysis, n_nodes: int, n_middle: int) -> list[str]:
    """Draw everything; the names of the files."""
    from snakegym.training.show import plots
    from snakegym.training.show.figures import save

    records = flat(analysis.groups)
    figures = {
        "accuracy.png": plots.accuracy_over_time(records),
        "costs.png": plots.cost_breakdown(records),
        "gantt.png": plots.gantt(records, n_nodes, n_middle),
        "returns.png": plots.returns(records, {k: v["total_reward"] for k, v in analysis.summary.items()}),
    }
    for name, figure in figures.items():
        save(figure, folder / name)
    return list(figures)


def write_files(folder: Path, header: Mapping[str, Any], records: Records, analysis: Analysis) -> list[str]:
    """Write the numbers; the names of the files."""
    write_text(folder / "evaluation.csv", as_csv(records))
    write_text(folder / "evaluation.json", as_json(header, records, analysis))
    return ["evaluation.json", "evaluation.csv"]


def print_tables(title: str, analysis: Analysis) -> None:
    """Print the measures, the comparison with the baseline and the time to the target."""
    out = console()
    columns = unit_columns(analysis.summary)
    print_measures(out, title, analysis.summary, columns)
    seeds = seed_note(one_seed(analysis.groups))
    out.print(f"[dim]{escape(seeds)}[/dim]\n" if seeds else "")
    if len(analysis.groups) > 1:
        compared = [c for c in columns if c.key in PAIRED]
        caption = f"Compared with {analysis.baseline}, episode by episode"
        out.print(paired_table(caption, analysis.difference, analysis.improvement, compared))
        out.print(f"[dim]{PAIRED_NOTE}[/dim]\n")
    out.print(target_table(analysis.target, analysis.time_to_target))
    out.print(
        "[dim]an episode that never gets there counts with the whole time budget; shares: exact binomial "
        "interval[/dim]\n"
    )


def _plain(summary: Summary) -> dict[str, Any]:
    return {label: {name: asdict(e) for name, e in measures.items()} for label, measures in summary.items()}
