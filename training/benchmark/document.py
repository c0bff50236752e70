"""The numbers of a benchmark as plain data: benchmark.json and the rows of benchmark.csv."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from snakegym.agents.registry import is_privileged
from snakegym.training.analysis.groups import MARK
from snakegym.training.analysis.scores import Standing
from snakegym.training.benchmark.config import BenchmarkConfig
from snakegym.training.benchmark.scenes import BenchmarkResult, Scene
from snakegym.training.evaluate.results import CSV_COLUMNS, plain, rows_of

COLUMNS = ("scenario", "scheduler", "privileged", "run", "training_seed", *CSV_COLUMNS[1:], "score")


def rows(scenes: Sequence[Scene], standings: Mapping[str, Standing]) -> Iterator[dict[str, Any]]:
    """Of benchmark.csv, with COLUMNS: every episode."""
    for scene in scenes:
        for label, specs in scene.places.items():
            for i, spec in enumerate(specs):
                scores = standings[scene.name].episodes.get(label)
                trained = scene.evaluation.trained.get(spec)
                for row in rows_of(spec, scene.evaluation.records[spec]):
                    yield row | {
                        "scenario": scene.name,
                        "scheduler": label.removesuffix(MARK),
                        "privileged": label.endswith(MARK),
                        "run": spec,
                        "training_seed": trained["seed"] if trained else None,
                        "score": None if scores is None else float(scores[i, row["episode"]]),
                    }


def document(
    config: BenchmarkConfig,
    request: Mapping[str, Any],
    scenes: Sequence[Scene],
    result: BenchmarkResult,
) -> dict[str, Any]:
    """Content of benchmark.json: nothing in it depends on when and where it was made."""
    return {
        "snakegym": scenes[0].evaluation.version,
        "request": {**request, "episodes": config.episodes},
        "zero": result.references[0],
        "one": result.references[1],
        "overall": {
            "score": _plain_row(result.overall.scores),
            "probability_of_improvement": plain(result.overall.improvement),
            "clearly_better_even_worse": {
                row: {column: asdict(tally) for column, tally in tallies.items()}
                for row, tallies in result.overall.tallies.items()
            },
            "profile": {
                "score": result.overall.thresholds.tolist(),
                "share": {label: band.value.tolist() for label, band in result.overall.profiles.items()},
            },
        },
        "scenarios": {s.name: _scenario(s, result) for s in scenes},
    }


def _scenario(scene: Scene, result: BenchmarkResult) -> dict[str, Any]:
    analysis, s = result.analyses[scene.name], result.standings[scene.name]
    return {
        "scenario": scene.evaluation.scenario,
        "runs": {label: list(specs) for label, specs in scene.places.items()},
        "privileged": [label for label, specs in scene.places.items() if any(map(is_privileged, specs))],
        "trained": scene.evaluation.trained,
        "weights": scene.evaluation.weights,
        "summary": plain(analysis.summary),
        "gap": asdict(s.gap),
        "score": _plain_row(s.scores),
        "best": {measure: asdict(lead) for measure, lead in s.leads.items()},
        "not_told_apart": {label: s.even(label) for label in s.difference},
        "paired_difference": plain(s.difference),
        "probability_of_improvement": plain(s.improvement),
        "target": analysis.target,
        "time_to_target": {label: asdict(t) for label, t in analysis.time_to_target.items()},
    }


def _plain_row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {label: asdict(e) for label, e in row.items()}
