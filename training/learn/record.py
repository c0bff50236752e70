"""What a run folder says about its run, and whether a training may write to it."""

from __future__ import annotations

import os
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

from snakegym.agents.algorithms import settings_of, takes_masks
from snakegym.agents.trained.config import CONFIG, RunConfig, read_config
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.errors import SnakegymError, SnakegymWarning
from snakegym.training.learn.checkpoints import read_state
from snakegym.training.learn.config import TrainConfig, spelled
from snakegym.training.runs import folder as runfolder
from snakegym.training.runs.versions import versions

FREE_TO_CHANGE = (
    "timesteps",
    "eval_every",
    "checkpoint_every",
    "track",
    "wandb",
    "workers",
    "device",
    "learner_device",
)
"""Options that may differ when a run is resumed."""
NOT_RECORDED = ("out", "resume", "skip_bad_traces", "trace_format", "set", "labels")
"""Options that say where a run lies and how its scenario, which is recorded in full, came about."""
LATEST = "checkpoints/latest.zip"


def describe(config: TrainConfig, env: SerpentineEnv) -> dict[str, Any]:
    """What config.json says: the options, the hyperparameters that are used, the scenario in full.

    Raises:
        SnakegymError: unknown algorithm; hyperparameters that are out of bounds or do not go together.
    """
    options = asdict(config)
    for name in NOT_RECORDED:
        del options[name]
    if config.traces is not None:
        options["traces"] = str(Path(config.traces).resolve())
    return options | {
        "masked": takes_masks(config.algo),
        "ppo": settings_of(config.algo, config.n_envs, config.ppo.given(), spelled),
        "sizes": {
            "nodes": env.codec.n_nodes,
            "layers": env.codec.n_middle,
            "actions": env.codec.n_actions,
        },
        "versions": versions(),
        "scenario": _recorded([problem.scenario.model_dump(mode="json") for problem in env.problems]),
    }


def _recorded(scenarios: list[dict[str, Any]]) -> dict[str, Any]:
    """As `agents.trained.config.scenarios_of` reads it."""
    if len(scenarios) == 1:
        return scenarios[0]
    name = ",".join(scenario["name"] for scenario in scenarios)
    return {"name": name, "summary": "each episode of one of these", "each_of": scenarios}


def check_folder(config: TrainConfig, described: dict[str, Any]) -> RunConfig | None:
    """Whether the run may write to its folder; touches nothing.

    Returns:
        What the folder says of the run to go on with; None for a new one.

    Raises:
        SnakegymError: the folder holds something else, another run, or (to resume) no run.
    """
    out = config.folder
    found = runfolder.existing_files(out)
    if not config.resume:
        if CONFIG in found:
            raise SnakegymError(
                f"{out}: holds a run already: add --resume to go on with it, or choose another --out"
            )
        if found:
            raise SnakegymError(f"{out}: found {found[0]} in it, expected a new or an empty folder")
        return None
    if CONFIG not in found:
        raise SnakegymError(f"{out}: found no config.json, expected the folder of a training run to resume")
    run = read_config(out)
    difference = runfolder.first_difference(
        _comparable(described), _comparable(runfolder.read_json(out / CONFIG))
    )
    if difference:
        raise SnakegymError(f"{out}: cannot resume this run with other settings: {difference}")
    if not (out / LATEST).is_file():
        _check_start_anew(out)
    elif run.versions != described["versions"]:
        change = runfolder.first_difference(described["versions"], run.versions)
        warnings.warn(f"{out}: the run goes on with other versions: {change}", SnakegymWarning, stacklevel=2)
    return run


def _comparable(described: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in described.items() if k not in (*FREE_TO_CHANGE, "run_id", "versions")}


def _check_start_anew(out: Path) -> None:
    """Whether nothing is lost if a run without a checkpoint starts anew. Raises SnakegymError if not."""
    best, progress = out / "best.zip", out / "progress.csv"
    trained = best.is_file() and read_state(best).timesteps > 0
    if trained or (progress.is_file() and progress.read_bytes().count(b"\n") > 2):
        raise SnakegymError(
            f"{out}: found no {LATEST} to go on from, but {'best.zip' if trained else 'progress.csv'} of a "
            f"training, which a new start would overwrite: choose another --out, or move it away"
        )
    print(f"{out}{os.sep}: no checkpoint to resume from, training starts anew", file=sys.stderr)
