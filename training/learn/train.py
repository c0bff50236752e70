"""`snakegym train`: reinforcement learning of a scheduler, safe against kills."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from snakegym.agents.algorithms import algorithm_class, make_algorithm
from snakegym.envs.sb3 import SerpentineVecEnv
from snakegym.envs.vector import make_members
from snakegym.errors import SnakegymError
from snakegym.scenario import Scenario
from snakegym.training.learn.callbacks import RunRecorder
from snakegym.training.learn.checkpoints import TrainingState, load_checkpoint, read_state
from snakegym.training.learn.config import TrainConfig
from snakegym.training.learn.tracking import start_tracker
from snakegym.training.learn.validation import Validator
from snakegym.training.runs import folder as runfolder
from snakegym.training.runs.manifest import scenario_of, write_manifest
from snakegym.training.runs.seeding import derive_seed

FREE_TO_CHANGE = ("timesteps", "eval_every", "checkpoint_every", "wandb")
"""Options that may differ when a run is resumed."""
MOST_MEMBERS = 16
"""Validation episodes played at a time."""


@dataclass
class Run:
    """A training run about to start or to go on."""

    config: TrainConfig
    scenario: Scenario
    run_id: str
    env: VecEnv
    model: BaseAlgorithm
    state: TrainingState
    resumed: bool

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.config.out


def train(config: TrainConfig) -> None:
    """Train as asked and leave the run folder; prints where things are.

    Raises:
        SnakegymError: bad input; then nothing was written.
        KeyboardInterrupt: with a line that says how to go on.
    """
    torch.set_num_threads(1)  # more threads only add jitter to models this small
    settings = env_settings(config)
    env = SerpentineVecEnv(config.n_envs, split="train", **settings)
    validation = make_members(min(config.eval_episodes, MOST_MEMBERS), split="validation", **settings)
    scenario = validation[0].scenario
    described = describe(config, scenario)
    check_folder(config, described)
    model = make_algorithm(config.algo, env, derive_seed(config.seed, "learner"), hyperparameters(config))
    runfolder.make_folder(config.out)
    with runfolder.locked(config.out):
        run = _begin(config, scenario, described, env, model)
        write_manifest(config.out, env.members[0], validation[0])
        validator = Validator(validation, config.eval_episodes, config.seed, config.algo == "maskable-ppo")
        _learn(run, validator, described)
    _report(run)


def env_settings(config: TrainConfig) -> dict[str, Any]:
    """Arguments of the run's environments but the split. Raises SnakegymError for a bad scenario."""
    return {
        "scenario": scenario_of(config.scenario, config.skip_bad_traces),
        "traces": config.traces,
        "layer_order": config.layer_order,
    }


def hyperparameters(config: TrainConfig) -> dict[str, Any]:
    """The hyperparameters that were set; `n_steps` per environment, as SB3 counts. Raises SnakegymError."""
    given = config.ppo.given()
    if "n_steps" in given:
        if given["n_steps"] % config.n_envs:
            raise SnakegymError(
                f"--n-steps: found {given['n_steps']}, expected a multiple of --n-envs {config.n_envs}"
            )
        given["n_steps"] //= config.n_envs
    return given


def describe(config: TrainConfig, scenario: Scenario) -> dict[str, Any]:
    """What config.json says: the options, and the scenario in full."""
    options = asdict(config) | {"scenario": scenario.model_dump(mode="json")}
    del options["out"], options["resume"], options["skip_bad_traces"]
    if config.traces is not None:
        options["traces"] = str(Path(config.traces).resolve())
    return options


def check_folder(config: TrainConfig, described: dict[str, Any]) -> None:
    """Whether the run may write to its folder; touches nothing.

    Raises:
        SnakegymError: the folder holds something else, another run, or (to resume) no run.
    """
    out = config.out
    found = runfolder.existing_files(out)
    if not config.resume:
        if "config.json" in found:
            raise SnakegymError(
                f"{out}: holds a run already: add --resume to go on with it, or choose another --out"
            )
        if found:
            raise SnakegymError(f"{out}: found {found[0]} in it, expected a new or an empty folder")
        return
    if "config.json" not in found:
        raise SnakegymError(f"{out}: found no config.json, expected the folder of a training run to resume")
    before = _comparable(runfolder.read_json(out / "config.json"))
    difference = runfolder.first_difference(_comparable(described), before)
    if difference:
        raise SnakegymError(f"{out}: cannot resume this run with other settings: {difference}")


def _comparable(described: Any) -> dict[str, Any]:
    if not isinstance(described, dict):
        raise SnakegymError("config.json: expected a mapping of options")
    return {k: v for k, v in described.items() if k not in (*FREE_TO_CHANGE, "run_id")}


def _begin(
    config: TrainConfig, scenario: Scenario, described: dict[str, Any], env: VecEnv, model: BaseAlgorithm
) -> Run:
    """Load the last checkpoint, or write the first files of a new run."""
    out, state = config.out, TrainingState()
    run_id = uuid.uuid4().hex[:8]
    latest = out / "checkpoints" / "latest.zip"
    if config.resume:
        run_id = runfolder.read_json(out / "config.json").get("run_id", run_id)
        if latest.exists():
            model, state = load_checkpoint(latest, algorithm_class(config.algo), env)
            _adopt_best(out, state)
    runfolder.write_json(out / "config.json", {"run_id": run_id, **described})
    # A resumed run must not meet the episodes and draw the actions of its start again.
    model.set_random_seed(derive_seed(config.seed, "rollouts", state.timesteps))
    return Run(config, scenario, run_id, env, model, state, resumed=latest.exists())


def _adopt_best(out: Path, state: TrainingState) -> None:
    """The best model may be newer than the checkpoint: then it stays the one to beat."""
    best = out / "best.zip"
    if best.exists():
        saved = read_state(best)
        state.best_score, state.best_timesteps = saved.best_score, saved.best_timesteps
    else:
        state.best_score, state.last_evaluation = None, None


def _learn(run: Run, validator: Validator, described: dict[str, Any]) -> None:
    config, state = run.config, run.state
    remaining = config.timesteps - state.timesteps
    if remaining <= 0:
        print(f"{run.folder}: has {state.timesteps:,} steps already, nothing to do", file=sys.stderr)
        return
    if run.resumed:
        print(f"resuming {run.folder} at {state.timesteps:,} steps", file=sys.stderr)
    tracker = start_tracker(
        config.wandb, run.folder, run.run_id, run.folder.resolve().name, described, run.resumed
    )
    recorder = RunRecorder(
        run.folder, state, validator, tracker, config.eval_every, config.checkpoint_every, config.timesteps
    )
    run.state = recorder.state
    exit_code = 1
    try:
        with _resumable(run):
            run.model.learn(remaining, callback=recorder, reset_num_timesteps=False)
        exit_code = 0
    finally:
        recorder.close()
        tracker.finish(summary(state), exit_code)


def summary(state: TrainingState) -> dict[str, float | int]:
    """Final numbers of a run: the last value of every column, and the best evaluation."""
    final: dict[str, float | int] = {}
    for row in state.curve:
        final |= row
    if state.best_score is not None:
        final |= {"best_validation_return": state.best_score, "best_timesteps": state.best_timesteps}
    return final


@contextmanager
def _resumable(run: Run) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        saved = (run.folder / "checkpoints" / "latest.zip").exists()
        hint = "the last checkpoint is kept, the same command with --resume goes on from it"
        raise KeyboardInterrupt(f"{run.folder}: {hint if saved else 'no checkpoint yet'}") from None


def _report(run: Run) -> None:
    from snakegym.training.show.figures import save
    from snakegym.training.show.plots import learning_curve

    state = run.state
    save(learning_curve(state.curve, state.best_timesteps), run.folder / "learning_curve.png")
    evaluated = [row for row in state.curve if row["timesteps"] == state.best_timesteps]
    accuracy = evaluated[-1].get("validation_accuracy") if evaluated else None
    print(
        f"trained {state.timesteps:,} steps in {state.episodes:,} episodes; best on validation traces: "
        f"return {state.best_score or 0:.2f}"
        + (f", accuracy {accuracy:.1%}" if accuracy is not None else "")
        + f", after {state.best_timesteps:,} steps"
    )
    print(f"run folder {run.folder}{os.sep}: best.zip, progress.csv, learning_curve.png")
    print(
        f"compare it: snakegym evaluate --scheduler {run.folder} --scheduler greedy --scenario "
        f"{run.config.scenario} --out results"
    )
