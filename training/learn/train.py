"""`snakegym train`: reinforcement learning of a scheduler, safe against kills."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from snakegym.agents.algorithms import make_algorithm
from snakegym.agents.trained.config import RunConfig
from snakegym.envs.problems import scenarios_of
from snakegym.envs.sb3 import SerpentineVecEnv
from snakegym.envs.vector import make_members
from snakegym.envs.workers import SerpentineWorkers
from snakegym.errors import SnakegymError
from snakegym.learning.stacked.engine import check_device
from snakegym.training.learn.callbacks import LastMetrics, Listener, RunRecorder, check_finite
from snakegym.training.learn.checkpoints import TrainingState, load_checkpoint, read_state, restore_scale
from snakegym.training.learn.config import TrainConfig
from snakegym.training.learn.imitate import check_imitation, imitate, is_pulled
from snakegym.training.learn.naming import given_id, placed
from snakegym.training.learn.outcome import Run, TrainingResult, about, draw, keep, report, result, summary
from snakegym.training.learn.record import LATEST, check_folder, describe
from snakegym.training.learn.validation import Validator
from snakegym.training.runs import folder as runfolder
from snakegym.training.runs.conventions import write_request
from snakegym.training.runs.manifest import scenario_of, write_manifest
from snakegym.training.runs.seeding import derive_seed
from snakegym.training.tracking.trackers import start_trackers

MOST_MEMBERS = 16
"""Validation episodes played at a time."""


def train(config: TrainConfig, listener: Listener = lambda metrics, timesteps: True) -> TrainingResult:
    """Train as asked and leave the run folder; prints where things are.

    Args:
        config: the options.
        listener: is told what is logged, at how many steps, and says whether to go on.

    Raises:
        SnakegymError: bad input, then nothing was written; or training diverged.
        KeyboardInterrupt: with a line that says how to go on.
    """
    torch.set_num_threads(1)  # more threads only add jitter to models this small
    config = placed(config)
    check_device(config.learner_device, name="--learner-device")
    settings = env_settings(config)
    validation = make_members(min(config.eval_episodes, MOST_MEMBERS), split="validation", **settings)
    described = describe(config, validation[0])
    schooling = env_settings(config, config.imitation.imitate_scenario)
    (example,) = make_members(1, split="train", **settings)
    (school,) = [example] if schooling == settings else make_members(1, split="train", **schooling)
    check_imitation(config, school, described)
    before = check_folder(config, described)
    with closing(_collector(config, settings)) as env:
        seen = scaled(env, described["ppo"])
        seed, pulled = derive_seed(config.seed, "learner"), is_pulled(config)
        model = make_algorithm(config.algo, seen, seed, described["ppo"], pulled, config.learner_device)
        runfolder.make_folder(config.folder)
        with runfolder.locked(config.folder):
            run = _begin(config, described, before, model, listener)
            write_request(config.folder, config, described["ppo"])
            write_manifest(config.folder, example, validation[0])
            imitate(config, described, schooling, school, model)
            validator = Validator(validation, config.eval_episodes, config.seed, described["masked"])
            _learn(run, validator)
    report(run)
    return result(run)


def scaled(env: VecEnv, settings: Mapping[str, Any]) -> VecEnv:
    """The environments as the learner is to see them; observations are of order 1 already."""
    if not settings["normalize_reward"]:
        return env
    return VecNormalize(env, norm_obs=False, gamma=settings.get("gamma", 0.99))


def env_settings(config: TrainConfig, scenario: str | None = None) -> dict[str, Any]:
    """Arguments of the run's environments but the split, or of others with that scenario.

    Raises SnakegymError for a bad scenario.
    """
    scenarios = scenarios_of(config.scenario if scenario is None else scenario)
    return {
        "scenario": [
            scenario_of(one, config.skip_bad_traces, config.trace_format, config.set) for one in scenarios
        ],
        "traces": config.traces,
        "layer_order": config.layer_order,
        "device": config.device,
    }


def _collector(config: TrainConfig, settings: dict[str, Any]) -> VecEnv:
    """The environments to learn in, here or in processes of their own."""
    if config.workers == 1:
        return SerpentineVecEnv(config.n_envs, split="train", **settings)
    return SerpentineWorkers(config.workers, config.n_envs, split="train", **settings)


def _begin(
    config: TrainConfig,
    described: dict[str, Any],
    before: RunConfig | None,
    model: BaseAlgorithm,
    listener: Listener,
) -> Run:
    """Load the last checkpoint, or write the first files of a new run."""
    out, state = config.folder, TrainingState(algo=config.algo)
    if before and (out / LATEST).is_file():
        state = load_checkpoint(out / LATEST, model, config.algo)
        _adopt_best(out, state)
        restore_scale(model.get_env(), state)
    described = {"run_id": before.run_id if before else given_id() or uuid.uuid4().hex[:8], **described}
    runfolder.write_json(out / "config.json", described)
    # A resumed run must not meet the episodes and draw the actions of its start again.
    model.set_random_seed(derive_seed(config.seed, "rollouts", state.timesteps))
    return Run(config, described, model, state, listener)


def _adopt_best(out: Path, state: TrainingState) -> None:
    """The best model may be newer than the checkpoint: then it stays the one to beat."""
    best = out / "best.zip"
    if best.exists():
        saved = read_state(best)
        state.best_score, state.best_timesteps = saved.best_score, saved.best_timesteps
    else:
        state.best_score, state.last_evaluation = None, None


def _learn(run: Run, validator: Validator) -> None:
    config, state = run.config, run.state
    remaining = config.timesteps - state.timesteps
    if remaining <= 0:
        print(f"{run.folder}: has {state.timesteps:,} steps already, nothing to do", file=sys.stderr)
        draw(run)
        return
    if state.timesteps:
        print(
            f"resuming {run.folder} at {state.timesteps:,} steps; episodes begin anew, so it will not be, "
            "number by number, the uninterrupted run",
            file=sys.stderr,
        )
    tracker = start_trackers(config.track, config.wandb, about(run))
    metrics = LastMetrics()
    metrics.attach(run.model)
    recorder = RunRecorder(
        run.folder,
        state,
        validator,
        tracker,
        metrics,
        config.eval_every,
        config.checkpoint_every,
        config.timesteps,
        run.listener,
    )
    exit_code = 1
    try:
        with _resumable(run), _converging(run):
            run.model.learn(remaining, callback=recorder, reset_num_timesteps=False)
        exit_code = 0
        run.stopped = recorder.stopped
        keep(run, tracker, recorder, validator)
    finally:
        recorder.close()
        tracker.finish(summary(state) | {"stopped_early": recorder.stopped}, exit_code)


@contextmanager
def _resumable(run: Run) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        saved = (run.folder / LATEST).exists()
        hint = "the last checkpoint is kept, the same command with --resume goes on from it"
        raise KeyboardInterrupt(f"{run.folder}: {hint if saved else 'no checkpoint yet'}") from None


@contextmanager
def _converging(run: Run) -> Iterator[None]:
    """Say of numbers that grew beyond measure what they are; PyTorch names distributions and parameters."""
    try:
        yield
    except SnakegymError:
        raise
    except ValueError:
        check_finite(run.model, run.folder)
        raise
