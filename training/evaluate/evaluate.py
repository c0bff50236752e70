"""`snakegym evaluate`: schedulers on the same held-out episodes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakegym import __version__
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.training.analysis.groups import Records, trainings
from snakegym.training.analysis.summary import Analysis, analyse
from snakegym.training.episodes.play import EpisodeRecord
from snakegym.training.evaluate import results
from snakegym.training.evaluate.config import EvaluateConfig
from snakegym.training.evaluate.stage import (
    EPISODES_WORTH_A_WORKER,
    Stage,
    content_of,
    portable,
    terrain_of,
)
from snakegym.training.evaluate.tracked import TRACKED, log_evaluation
from snakegym.training.pool.opened import opened
from snakegym.training.pool.seam import Pool
from snakegym.training.runs import folder as runfolder
from snakegym.training.runs.conventions import REQUEST_FILES, write_request
from snakegym.training.runs.manifest import MANIFEST, write_manifest
from snakegym.training.runs.partial import PartialResults, Task
from snakegym.training.runs.progress import progress

FILES = (
    "evaluation.json",
    "evaluation.csv",
    MANIFEST,
    "accuracy.png",
    "costs.png",
    "gantt.png",
    "returns.png",
    "report.html",
    *REQUEST_FILES,
    *TRACKED,
)
PARTIAL = "partial.jsonl"


@dataclass(frozen=True)
class EvaluationResult:
    """What came out of an evaluation."""

    folder: Path
    """Where its files lie."""
    header: Mapping[str, Any]
    """How it was made: request, scenario, trained schedulers and their weights, version."""
    records: Records
    """The episodes of every scheduler."""
    analysis: Analysis
    """Means, intervals and comparisons."""


def evaluate(config: EvaluateConfig) -> EvaluationResult:
    """Play all episodes, print the tables and leave the output folder.

    Raises:
        SnakegymError: bad input; then nothing was written.
        KeyboardInterrupt: with a line that says what is kept.
    """
    config.validate()
    with opened(config.ray) as pool:
        return _evaluate(config, pool)


def _evaluate(config: EvaluateConfig, pool: Pool) -> EvaluationResult:
    stage = Stage(config)
    env = stage.env
    header = describe(config, env)
    runfolder.check_results(config.out, "evaluation", (*FILES, PARTIAL), header["request"])
    runfolder.make_folder(config.out)
    with runfolder.locked(config.out):
        write_manifest(config.out, env)
        write_request(config.out, config)
        records = _play_all(stage, header, pool)
        analysis = analyse(records, header["trained"], header["scenario"], baseline=config.baseline)
        title = (
            f"{config.episodes} {config.split} episodes of scenario '{env.scenario.name}', seed {config.seed}"
        )
        terrain = terrain_of(env, config.seed)
        files = results.write_files(config.out, header, records, analysis, terrain)
        files += results.write_pictures(config.out, analysis, terrain)
        (config.out / PARTIAL).unlink(missing_ok=True)
    results.print_evaluation(title, analysis)
    log_evaluation(config, title, header, records, analysis, files)
    print(f"written to {config.out}{os.sep}: {', '.join(files)}")
    return EvaluationResult(config.out, header, records, analysis)


def describe(config: EvaluateConfig, env: SerpentineEnv) -> dict[str, Any]:
    """What evaluation.json says about how it was made."""
    return {
        "snakegym": __version__,
        "request": {
            "scheduler": list(config.scheduler),
            "scenario": config.scenario,
            "set": list(config.set),
            "split": config.split,
            "episodes": config.episodes,
            "seed": config.seed,
            "traces": config.traces,
            "trace_format": config.trace_format,
            "layer_order": config.layer_order,
            "stochastic": config.stochastic,
        },
        "scenario": env.scenario.model_dump(mode="json"),
        "trained": trainings(config.scheduler),
        "weights": {spec: digest for spec in config.scheduler if (digest := content_of(spec))},
    }


def _play_all(stage: Stage, header: dict[str, Any], pool: Pool) -> dict[str, list[EpisodeRecord]]:
    config = stage.config
    partial = PartialResults(config.out / PARTIAL, header, EpisodeRecord)
    tasks = [Task(spec, episode) for spec in config.scheduler for episode in range(config.episodes)]
    missing = [task for task in tasks if task not in partial.records]
    if len(missing) < len(tasks):
        print(f"going on after {len(tasks) - len(missing)} of {len(tasks)} episodes", file=sys.stderr)
    bar = progress(len(tasks), "evaluate", "episode", initial=len(tasks) - len(missing))
    try:
        width = pool.width(config.jobs, len(missing), EPISODES_WORTH_A_WORKER)
        work = portable(config, stage.env) if pool.is_remote else stage.play
        with bar, pool.working(work, missing, width) as played:
            for task, record in played:
                partial.add(task, record)
                bar.set_postfix_str(task.scheduler, refresh=False)
                bar.update()
    except KeyboardInterrupt:
        done = len(partial.records)
        raise KeyboardInterrupt(
            f"{done} of {len(tasks)} episodes are kept in {config.out}, the same command goes on from there"
        ) from None
    return {
        spec: [partial.records[Task(spec, e)] for e in range(config.episodes)] for spec in config.scheduler
    }
