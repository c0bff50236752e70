"""What `snakegym evaluate` prints and leaves: tables, evaluation.json, evaluation.csv, pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from snakegym.envs.reward import TERMS
from snakegym.training.analysis.groups import Records, flat
from snakegym.training.analysis.intervals import Estimate
from snakegym.training.analysis.summary import MEASURES, Analysis
from snakegym.training.episodes.play import EpisodeRecord
from snakegym.training.episodes.terrain import Terrain
from snakegym.training.runs.folder import to_csv, write_text
from snakegym.training.show.evaluation import evaluation_tables
from snakegym.training.show.tables import console, print_tables

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


def write_files(
    folder: Path, header: Mapping[str, Any], records: Records, analysis: Analysis, terrain: Terrain
) -> list[str]:
    """Write the numbers; the names of the files."""
    write_text(folder / "evaluation.csv", as_csv(records))
    write_text(folder / "evaluation.json", as_json(header, records, analysis, terrain))
    return ["evaluation.json", "evaluation.csv"]


def write_pictures(folder: Path, analysis: Analysis, terrain: Terrain) -> list[str]:
    """Draw everything; the names of the files.

    Args:
        folder: for them.
        analysis: with the records.
        terrain: of the first episode.
    """
    from snakegym.training.show import plots
    from snakegym.training.show.figures import save
    from snakegym.training.show.gantt import gantt

    records = flat(analysis.groups)
    figures = {
        "accuracy.png": plots.accuracy_over_time(records, analysis.metric),
        "costs.png": plots.cost_breakdown(records),
        "gantt.png": gantt(records, terrain, analysis.metric),
        "returns.png": plots.returns(records, {k: v["total_reward"] for k, v in analysis.summary.items()}),
    }
    for name, figure in figures.items():
        save(figure, folder / name)
    return list(figures)


def print_evaluation(title: str, analysis: Analysis) -> None:
    """Print the measures, the comparison with the baseline and the time to the target."""
    print_tables(console(), evaluation_tables(title, analysis))


def as_json(header: Mapping[str, Any], records: Records, analysis: Analysis, terrain: Terrain) -> str:
    """Content of evaluation.json: nothing in it depends on when and where it was made."""
    data = {
        **header,
        "baseline": analysis.baseline,
        "summary": plain(analysis.summary),
        "paired_difference": plain(analysis.difference),
        "probability_of_improvement": plain(analysis.improvement),
        "target": analysis.target,
        "time_to_target": {label: asdict(t) for label, t in analysis.time_to_target.items()},
        "terrain": terrain.record(),
        "episodes": records,
    }
    return json.dumps(data, indent=1, sort_keys=True, allow_nan=False) + "\n"


def as_csv(records: Records) -> str:
    """Content of evaluation.csv: a row for each scheduler and episode."""
    return to_csv([row for spec, episodes in records.items() for row in rows_of(spec, episodes)], CSV_COLUMNS)


def rows_of(spec: str, episodes: Sequence[EpisodeRecord]) -> list[dict[str, Any]]:
    """Episodes of a scheduler with CSV_COLUMNS, and more."""
    return [
        {"scheduler": spec, **e, **{f"reward_{term}": e["rewards"][term] for term in TERMS}} for e in episodes
    ]


def plain(summary: Mapping[str, Mapping[str, Estimate]]) -> dict[str, Any]:
    """Estimates as JSON data."""
    return {label: {name: asdict(e) for name, e in measures.items()} for label, measures in summary.items()}
