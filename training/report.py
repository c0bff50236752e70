"""From the episodes of an evaluation to numbers, files and pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from envs.reward import TERMS
from training.episodes import EpisodeRecord
from training.runfolder import to_csv, write_text
from training.statistics import Estimate, estimate, paired_difference
from training.tables import console, paired_table, print_measures, unit_columns

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
Records = Mapping[str, Sequence[EpisodeRecord]]


def summarise(records: Records) -> Summary:
    """Interquartile mean and interval of every measure of every scheduler."""
    return {
        label: {name: estimate(values(episodes, name)) for name in MEASURES}
        for label, episodes in records.items()
    }


def compare(records: Records, baseline: str) -> Summary:
    """Paired differences of all other schedulers to the baseline."""
    return {
        label: {name: paired_difference(values(e, name), values(records[baseline], name)) for name in PAIRED}
        for label, e in records.items()
        if label != baseline
    }


def values(episodes: Sequence[EpisodeRecord], measure: str) -> list[float]:
    """One measure of every episode."""
    return [float(episode[measure]) for episode in episodes]  # type: ignore[literal-required]


def as_json(header: Mapping[str, Any], records: Records, baseline: str) -> str:
    """Content of evaluation.json: nothing in it depends on when and where it was made."""
    data = {
        **header,
        "baseline": baseline,
        "summary": _plain(summarise(records)),
        "paired_difference": _plain(compare(records, baseline)),
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


def write_pictures(folder: Path, records: Records, n_nodes: int, n_middle: int) -> list[str]:
    """Draw everything; the names of the files."""
    from training import plots
    from training.figures import save

    figures = {
        "accuracy.png": plots.accuracy_over_time(records),
        "costs.png": plots.cost_breakdown(records),
        "gantt.png": plots.gantt(records, n_nodes, n_middle),
        "returns.png": plots.returns(records, {k: v["total_reward"] for k, v in summarise(records).items()}),
    }
    for name, figure in figures.items():
        save(figure, folder / name)
    return list(figures)


def write_files(folder: Path, header: Mapping[str, Any], records: Records, baseline: str) -> list[str]:
    """Write the numbers; the names of the files."""
    write_text(folder / "evaluation.csv", as_csv(records))
    write_text(folder / "evaluation.json", as_json(header, records, baseline))
    return ["evaluation.json", "evaluation.csv"]


def print_tables(title: str, records: Records, baseline: str) -> None:
    """Print the table of measures and that of the paired differences."""
    out = console()
    summary = summarise(records)
    columns = unit_columns(summary)
    print_measures(out, title, summary, columns)
    if len(records) > 1:
        compared = [c for c in columns if c.key in PAIRED]
        out.print(
            paired_table(
                f"Difference to {baseline}, episode by episode", compare(records, baseline), compared
            )
        )
        out.print("[dim]* the 95 % interval excludes 0[/dim]\n")


def _plain(summary: Summary) -> dict[str, Any]:
    return {label: {name: asdict(e) for name, e in measures.items()} for label, measures in summary.items()}
