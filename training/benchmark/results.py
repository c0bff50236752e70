"""What `snakegym benchmark` prints and leaves: tables, page, pictures, numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from snakegym.agents.registry import is_privileged
from snakegym.training.analysis.groups import MARK, Groups
from snakegym.training.analysis.read import Evaluation
from snakegym.training.analysis.scores import Overall, Standing, overall, standing
from snakegym.training.analysis.summary import Analysis, analyse_groups
from snakegym.training.benchmark import pictures
from snakegym.training.benchmark.config import BenchmarkConfig
from snakegym.training.benchmark.pieces import Latency
from snakegym.training.benchmark.tables import SCORE, latency_table, overview_tables, standing_table
from snakegym.training.evaluate.results import CSV_COLUMNS, plain, rows_of
from snakegym.training.report.page import render_page, section_of
from snakegym.training.report.pictures import Picture, drawn
from snakegym.training.runs.folder import to_csv, write_json, write_text
from snakegym.training.show.evaluation import evaluation_tables
from snakegym.training.show.figures import save
from snakegym.training.show.tables import Table, as_markdown, console, number, print_tables

FILES = (
    "benchmark.json",
    "benchmark.csv",
    "benchmark.md",
    "benchmark.html",
    "scores.png",
    "profiles.png",
    "pieces",
    "latency",
)
COLUMNS = ("scenario", "scheduler", "privileged", "run", "training_seed", *CSV_COLUMNS[1:], "score")


@dataclass(frozen=True)
class Scene:
    """What was played in a scenario."""

    evaluation: Evaluation
    groups: Groups
    places: Mapping[str, Sequence[str]]
    """Of every scheduler, by its label, its runs."""
    latencies: Mapping[str, Sequence[Latency]]
    """Of every scheduler, by its label, how long its decisions took in each episode."""

    @property
    def name(self) -> str:
        """Of the scenario."""
        return str(self.evaluation.scenario["name"])


@dataclass(frozen=True)
class BenchmarkResult:
    """What came out of a benchmark."""

    folder: Path
    """Where its files lie."""
    standings: Mapping[str, Standing]
    """Of every scenario: scores and pairs."""
    analyses: Mapping[str, Analysis]
    """Of every scenario: means, intervals, comparisons with the lower reference, time to the target."""
    overall: Overall
    """All scenarios together."""


def report(
    config: BenchmarkConfig, request: Mapping[str, Any], scenes: Sequence[Scene], references: tuple[str, str]
) -> BenchmarkResult:
    """From episodes to numbers, and all files; prints the tables."""
    analyses = {s.name: analyse_groups(s.groups, references[0], s.evaluation.scenario) for s in scenes}
    standings = {s.name: standing(s.groups, *references) for s in scenes}
    labels = list(dict.fromkeys(label for s in scenes for label in s.groups))
    result = BenchmarkResult(config.out, standings, analyses, overall(list(standings.values()), labels))
    tables = overview_tables(labels, references, standings, analyses, result.overall)
    more = {s.name: standing_table(s.name, standings[s.name], analyses[s.name]) for s in scenes}
    write_text(config.out / "benchmark.csv", to_csv([*_rows(scenes, standings)], COLUMNS))
    write_json(
        config.out / "benchmark.json", _document(config, request, scenes, references, result), indent=1
    )
    write_text(config.out / "benchmark.md", _markdown(scenes, tables, more, analyses))
    figures = _figures(labels, references, result)
    for name in ("scores.png", "profiles.png"):
        (config.out / name).unlink(missing_ok=True)
    for name, figure in figures.items():
        save(figure, config.out / name)
    counted = (
        f"{len(scenes)} scenario{'s'[: len(scenes) > 1]}",
        f"{config.episodes} {config.split} episodes each",
    )
    title = ", ".join([f"{len(labels)} schedulers", *counted])
    page = render_page(
        title,
        [section_of(s.evaluation, analyses[s.name], [more[s.name]]) for s in scenes],
        tables,
        _pictures(figures, result.overall),
        REMARKS,
    )
    write_text(config.out / "benchmark.html", page)
    latency = _write_latency(config.out / "latency", labels, scenes)
    print_tables(console(), [*tables, *more.values(), latency])
    return result


REMARKS = (
    "A score is the return on the scale of two references, one of which is 0 and the other 1: the "
    "interquartile mean of the differences to the lower one, as a share of that of the upper one. The same "
    "drawn episodes count for all three in an interval, so it holds how well the references are known. A "
    "mean over scenarios counts each alike; its interval adds up those of the scenarios (Zou and Donner, "
    "Statistics in Medicine 2008).",
    "How long decisions take depends on the machine and stands in the folder latency beside this page.",
)


def _rows(scenes: Sequence[Scene], standings: Mapping[str, Standing]) -> Iterator[dict[str, Any]]:
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


def _document(
    config: BenchmarkConfig,
    request: Mapping[str, Any],
    scenes: Sequence[Scene],
    references: tuple[str, str],
    result: BenchmarkResult,
) -> dict[str, Any]:
    """Content of benchmark.json: nothing in it depends on when and where it was made."""
    return {
        "snakegym": scenes[0].evaluation.version,
        "request": {**request, "episodes": config.episodes},
        "zero": references[0],
        "one": references[1],
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
        "best": s.best,
        "not_told_apart": {label: s.even(label) for label in s.difference},
        "paired_difference": plain(s.difference),
        "probability_of_improvement": plain(s.improvement),
        "target": analysis.target,
        "time_to_target": {label: asdict(t) for label, t in analysis.time_to_target.items()},
    }


def _plain_row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {label: asdict(e) for label, e in row.items()}


def _markdown(
    scenes: Sequence[Scene],
    tables: Sequence[Table],
    more: Mapping[str, Table],
    analyses: Mapping[str, Analysis],
) -> str:
    parts = [as_markdown(table) for table in tables]
    for scene in scenes:
        own = [
            more[scene.name],
            *evaluation_tables("What each scheduler reaches and spends", analyses[scene.name]),
        ]
        parts += [f"## {scene.name}", *map(as_markdown, own)]
    return "\n".join(parts)


def _figures(
    labels: Sequence[str], references: tuple[str, str], result: BenchmarkResult
) -> dict[str, Figure]:
    """The pictures by the names of their files; none where no scenario has scores."""
    if not any(s.scores for s in result.standings.values()):
        return {}
    return {
        "scores.png": pictures.scores(labels, result.standings, result.overall),
        "profiles.png": pictures.profiles(result.overall, references),
    }


def _pictures(figures: Mapping[str, Figure], total: Overall) -> Iterator[Picture]:
    said = ", ".join(f"{label} {number(e, SCORE)}" for label, e in total.scores.items())
    texts = {
        "scores.png": (
            "Scores",
            "Marks are scores, bars their 95 % intervals; grey lines are the references.",
        ),
        "profiles.png": (
            "Performance profiles",
            "The share of episodes that reach a score, mean over the scenarios; a curve above another one is "
            "better everywhere. Bands are pointwise 95 % intervals, binomial.",
        ),
    }
    for name, figure in figures.items():
        yield drawn(*texts[name], f"Scores over all scenarios: {said}.", figure)


def _write_latency(folder: Path, labels: Sequence[str], scenes: Sequence[Scene]) -> Table:
    found = {label: {s.name: s.latencies[label] for s in scenes if label in s.latencies} for label in labels}
    table = latency_table(found)
    write_text(folder / "latency.json", json.dumps(found, indent=1) + "\n")
    write_text(folder / "latency.md", as_markdown(table))
    return table
