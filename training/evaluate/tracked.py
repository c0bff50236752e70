"""A tracked evaluation: its tables and pictures."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from snakegym.training.analysis.groups import Records
from snakegym.training.analysis.summary import MEASURES, Analysis
from snakegym.training.evaluate.config import EvaluateConfig
from snakegym.training.learn.naming import given_id
from snakegym.training.show.evaluation import evaluation_tables
from snakegym.training.show.tables import log_tables
from snakegym.training.tracking.tensorboard import FOLDER
from snakegym.training.tracking.tracker import About, NoTracker
from snakegym.training.tracking.trackers import start_trackers

TRACKED = ("wandb", FOLDER)
"""Folders of the trackers' files."""


def log_evaluation(
    config: EvaluateConfig,
    title: str,
    header: Mapping[str, Any],
    records: Records,
    analysis: Analysis,
    files: Sequence[str],
) -> None:
    """Log the tables as people see them, every episode as a row, and the pictures.

    Args:
        config: the options, which say whether to.
        title: of the evaluation.
        header: how it was made.
        records: the episodes.
        analysis: of them.
        files: names of those in the output folder.
    """
    request = {name: value for name, value in header["request"].items() if value is not None}
    about = About(
        folder=config.out,
        run_id=given_id() or uuid.uuid4().hex[:8],
        name=f"evaluate: {title}",
        job_type="evaluate",
        config={**request, "scenario_settings": header["scenario"], "snakegym": header["snakegym"]},
        labels=config.labels,
    )
    tracker = start_trackers(config.track, config.wandb, about)
    if isinstance(tracker, NoTracker):
        return
    log_tables(tracker, "evaluation", evaluation_tables(title, analysis))
    columns = ("scheduler", "episode", "seed", *MEASURES)
    rows: list[list[Any]] = [
        [label, *(dict(episode).get(column) for column in columns[1:])]
        for label, episodes in records.items()
        for episode in episodes
    ]
    tracker.table("evaluation/episodes", columns, rows)
    if config.labels.wandb_media:
        for name in files:
            if name.endswith(".png"):
                tracker.picture(f"media/{name.removesuffix('.png')}", config.out / name)
    means = {
        f"{label}/{name}": estimate.value
        for label, measures in analysis.summary.items()
        for name, estimate in measures.items()
    }
    tracker.finish(means)
