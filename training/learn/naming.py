"""What a training run is called and where it goes, if nobody says: `wandb agent` says only an id."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from snakegym.agents.trained.config import CONFIG
from snakegym.errors import SnakegymError
from snakegym.training.learn.config import TrainConfig

RUNS = Path("runs")
"""Below the working folder."""
ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""What W&B takes as the id of a run, and every file system as the name of a folder."""


def given_id(environment: Mapping[str, str] | None = None) -> str | None:
    """The run's id in Weights & Biases if WANDB_RUN_ID gives one.

    Raises:
        SnakegymError: it is no id.
    """
    run_id = (os.environ if environment is None else environment).get("WANDB_RUN_ID")
    if run_id and (not ID.fullmatch(run_id) or run_id.strip(".") == ""):
        raise SnakegymError(
            f"WANDB_RUN_ID: found {run_id!r:.80}, expected 1 to 64 letters, digits, hyphens, "
            "dots and underscores"
        )
    return run_id or None


def run_name(config: TrainConfig, seconds: int | None = None) -> str:
    """`{scenario}__{algo}__{seed}__{time}`.

    Args:
        config: of the run.
        seconds: since 1970; None: now.
    """
    scenario = (
        Path(config.scenario).stem
        if config.scenario.endswith((".yaml", ".yml", ".json"))
        else config.scenario
    )
    parts = [re.sub(r"[^\w.-]+", "_", part) or "_" for part in (scenario, config.algo)]
    return "__".join([*parts, str(config.seed), str(int(time.time()) if seconds is None else seconds)])


def placed(config: TrainConfig) -> TrainConfig:
    """The same options with a run folder; one that WANDB_RUN_ID names is gone on with where it holds a run.

    Raises:
        SnakegymError: there is nothing to resume, or WANDB_RUN_ID is no id.
    """
    run_id = given_id()
    if config.out is not None:
        return config
    if run_id is not None:
        folder = RUNS / run_id
        return replace(config, out=folder, resume=config.resume or (folder / CONFIG).exists())
    if config.resume:
        raise SnakegymError("--resume: found no --out, expected the folder of the run to go on with")
    seconds = int(time.time())
    while (folder := RUNS / run_name(config, seconds)).exists():
        seconds += 1
    return replace(config, out=folder)
