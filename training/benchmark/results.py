"""What `snakegym benchmark` prints and leaves: tables, page, pictures, numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from snakegym.training.benchmark import pictures
from snakegym.training.benchmark.config import BenchmarkConfig
from snakegym.training.benchmark.document import COLUMNS, document, rows
from snakegym.training.benchmark.scenes import BenchmarkResult, Scene
from snakegym.training.benchmark.tables import SCORE, latency_table, overview_tables, standing_table
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
REMARKS = (
    "A score is the return on the scale of two references, one of which is 0 and the other 1: the "
    "interquartile mean of the differences to the lower one, as a share of that of the upper one. The same "
    "drawn episodes count for all three in an interval, so it holds how well the references are known. A "
    "mean over scenarios counts each alike; its interval adds up those of the scenarios (Zou and Donner, "
    "Statistics in Medicine 2008).",
    "How long decisions take depends on the machine and stands in the folder latency beside this page.",
)


def report(
    config: BenchmarkConfig, request: Mapping[str, Any], scenes: Sequence[Scene], result: BenchmarkResult
) -> None:
    """Write all files and print the tables."""
    out = result.folder
    tables = overview_tables(result)
    more = {s.name: standing_table(s.name, result) for s in scenes}
    figures = _figures(result)
    write_text(out / "benchmark.csv", to_csv([*rows(scenes, result.standings)], COLUMNS))
    write_json(out / "benchmark.json", document(config, request, scenes, result), indent=1)
    write_text(out / "benchmark.md", _markdown(tables, more, result))
    for name in ("scores.png", "profiles.png"):
        (out / name).unlink(missing_ok=True)
    for name, figure in figures.items():
        save(figure, out / name)
    sections = [section_of(s.evaluation, result.analyses[s.name], [more[s.name]]) for s in scenes]
    shown = _pictures(figures, result)
    write_text(
        out / "benchmark.html",
        render_page(_title(config, result), sections, tables, shown, REMARKS, "benchmark"),
    )
    latency = _write_latency(out / "latency", result.labels, scenes)
    print_tables(console(), [*tables, *more.values(), latency])


def _title(config: BenchmarkConfig, result: BenchmarkResult) -> str:
    scenarios = len(result.standings)
    return (
        f"{len(result.labels)} schedulers, {scenarios} scenario{'s'[: scenarios > 1]}, "
        f"{config.episodes} {config.split} episodes each"
    )


def _markdown(tables: Sequence[Table], more: Mapping[str, Table], result: BenchmarkResult) -> str:
    parts = [as_markdown(table) for table in tables]
    for name, analysis in result.analyses.items():
        own = [more[name], *evaluation_tables("What each scheduler reaches and spends", analysis)]
        parts += [f"## {name}\n", *map(as_markdown, own)]
    return "\n".join(parts)


def _figures(result: BenchmarkResult) -> dict[str, Figure]:
    """The pictures by the names of their files; none where no scenario has scores."""
    if not any(s.scores for s in result.standings.values()):
        return {}
    return {"scores.png": pictures.scores(result), "profiles.png": pictures.profiles(result)}


def _pictures(figures: Mapping[str, Figure], result: BenchmarkResult) -> Iterator[Picture]:
    said = ", ".join(f"{label} {number(e, SCORE)}" for label, e in result.overall.scores.items())
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
