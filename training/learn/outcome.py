"""A training run, and what comes out of it: curve and card, what is logged of it, what is printed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm

from snakegym.scenario import score_name
from snakegym.training.learn.callbacks import Listener, RunRecorder
from snakegym.training.learn.checkpoints import Row, TrainingState
from snakegym.training.learn.config import TrainConfig
from snakegym.training.learn.keepsakes import CARD, log_keepsakes, model_card
from snakegym.training.learn.logged import flat_config
from snakegym.training.learn.naming import run_name
from snakegym.training.learn.validation import Validator
from snakegym.training.runs import folder as runfolder
from snakegym.training.show.figures import save
from snakegym.training.show.plots import learning_curve
from snakegym.training.tracking.tracker import About, NoTracker, Tracker


@dataclass(frozen=True)
class TrainingResult:
    """What came out of a training."""

    folder: Path
    """The run folder, which is a scheduler for `snakegym evaluate`."""
    timesteps: int
    """Environment steps, of all parts of a resumed run."""
    episodes: int
    best_timesteps: int
    """When the best model on validation traces was seen."""
    best_return: float | None
    """Its mean return on validation traces."""
    curve: list[Row]
    """Rows of progress.csv and learner.csv."""
    config: dict[str, Any]
    """What config.json says: options, hyperparameters, versions, scenario."""
    stopped: bool = False
    """Whether the listener ended it before its time."""


@dataclass
class Run:
    """A training run about to start or to go on."""

    config: TrainConfig
    described: dict[str, Any]
    model: BaseAlgorithm
    state: TrainingState
    listener: Listener
    stopped: bool = False
    """Whether the listener ended it before its time."""

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.config.folder


def about(run: Run) -> About:
    """What trackers are told of it before it begins."""
    config, described = run.config, run.described
    name = run.folder.resolve().name
    return About(
        folder=run.folder,
        run_id=described["run_id"],
        name=run_name(config) if name == described["run_id"] else name,
        job_type="train",
        config=flat_config(described, config.scenario),
        labels=config.labels,
    )


def keep(run: Run, tracker: Tracker, recorder: RunRecorder, validator: Validator) -> None:
    """Log what is to be kept of the run."""
    draw(run)
    if run.config.labels.wandb_media and not isinstance(tracker, NoTracker):
        log_keepsakes(
            tracker, run.folder, run.described, run.state, validator.members[0], recorder.accuracies
        )


def draw(run: Run) -> None:
    """The curve and the card, to the run folder."""
    state = run.state
    figure = learning_curve(state.curve, state.best_timesteps, _metric(run))
    save(figure, run.folder / "learning_curve.png")
    runfolder.write_text(run.folder / CARD, model_card(run.described, state, run.folder))


def _metric(run: Run) -> str:
    """What accuracies are called."""
    scenario = run.described["scenario"]
    first = scenario.get("each_of", [scenario])[0]
    return score_name(first["data"]["dataset"])


def summary(state: TrainingState) -> dict[str, float | int]:
    """Final numbers of a run, beside the last of each that was logged."""
    if state.best_score is None:
        return {}
    return {"best_validation_return": state.best_score, "best_timesteps": state.best_timesteps}


def result(run: Run) -> TrainingResult:
    """What a caller is given."""
    state = run.state
    return TrainingResult(
        folder=run.folder,
        timesteps=state.timesteps,
        episodes=state.episodes,
        best_timesteps=state.best_timesteps,
        best_return=state.best_score,
        curve=state.curve,
        config=run.described,
        stopped=run.stopped,
    )


def report(run: Run) -> None:
    """Print what it came to, where it lies and what to do with it."""
    state = run.state
    evaluated = [row for row in state.curve if row["timesteps"] == state.best_timesteps]
    accuracy = evaluated[-1].get("validation_accuracy") if evaluated else None
    print(
        f"trained {state.timesteps:,} steps in {state.episodes:,} episodes; best on validation traces: "
        f"return {state.best_score or 0:.2f}"
        + (f", {_metric(run)} {accuracy:.1%}" if accuracy is not None else "")
        + f", after {state.best_timesteps:,} steps"
    )
    print(f"run folder {run.folder}{os.sep}: best.zip, progress.csv, learner.csv, learning_curve.png")
    print(
        f"compare it: snakegym evaluate --scheduler {run.folder} --scheduler greedy --scenario "
        f"{run.config.scenario} --out results"
    )
