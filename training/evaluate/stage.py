"""What the episodes of an evaluation are played with."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from snakegym.agents.protocol import Scheduler
from snakegym.agents.registry import list_schedulers, make_scheduler
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.plugins import is_path
from snakegym.training.episodes.play import EpisodeRecord, episode_seed, play_scheduler
from snakegym.training.episodes.terrain import Terrain
from snakegym.training.evaluate.config import EvaluateConfig
from snakegym.training.pool.packing import Packer
from snakegym.training.pool.parcel import Portable
from snakegym.training.runs.manifest import scenario_of
from snakegym.training.runs.partial import Task

EPISODES_WORTH_A_WORKER = 20
"""A process takes seconds to start: with fewer episodes each, one does it sooner."""


def open_env(config: EvaluateConfig) -> SerpentineEnv:
    """The environment that an evaluation asks for. Raises SnakegymError for a bad scenario or traces."""
    return SerpentineEnv(
        scenario_of(config.scenario, config.skip_bad_traces, config.trace_format, config.set),
        split=config.split,
        traces=config.traces,
        layer_order=config.layer_order,
    )


def content_of(spec: str) -> str | None:
    """SHA-256 of a trained scheduler's weights, or of the file of one's own; None for a registered one."""
    names = ("best.zip", "checkpoints/latest.zip")
    files = [Path(spec.rpartition(":")[0])] if is_path(spec) else [Path(spec) / name for name in names]
    for file in files:
        if spec not in list_schedulers() and file.is_file():
            return hashlib.sha256(file.read_bytes()).hexdigest()
    return None


def terrain_of(env: SerpentineEnv, seed: int) -> Terrain:
    """What the first episode of an evaluation begins with; `env` is left there."""
    env.reset(seed=episode_seed(seed, 0))
    return Terrain.of(env.view())


def portable(config: EvaluateConfig, env: SerpentineEnv) -> Portable:
    """What plays the same episodes on other machines, of which none has files of this one.

    Args:
        config: of the evaluation.
        env: that it asks for.
    """
    packer = Packer()
    schedulers, options = packed(packer, config, env)
    return Portable(_player, options, packer.parcel, schedulers)


def packed(
    packer: Packer, config: EvaluateConfig, env: SerpentineEnv
) -> tuple[dict[str, str], EvaluateConfig]:
    """Where the schedulers lie in the parcel, and the options for whoever unpacks it."""
    schedulers = {spec: packer.scheduler(spec) for spec in config.scheduler}
    options = replace(
        config,
        scheduler=tuple(schedulers.values()),
        scenario=packer.scenario(config.scenario, env.scenario),
        traces=packer.traces(config.traces),
        set=(),
        skip_bad_traces=False,
        trace_format=None,
        layer_order=None,
    )
    return schedulers, options


def _player(config: EvaluateConfig) -> Any:
    return Stage(config).play


class Stage:
    """The environment and the schedulers of an evaluation, each made once in each process.

    Raises:
        SnakegymError: bad scenario, traces or scheduler.
    """

    def __init__(self, config: EvaluateConfig) -> None:
        # More threads only add jitter, and another summation order would change the last digits.
        torch.set_num_threads(1)
        self.config = config
        self.env = open_env(config)
        self.schedulers: dict[str, Scheduler] = {
            spec: make_scheduler(spec, self.env.scenario) for spec in config.scheduler
        }
        for scheduler in self.schedulers.values():
            if hasattr(scheduler, "stochastic"):  # a learned one
                scheduler.stochastic = config.stochastic

    def __reduce__(self) -> tuple[type[Stage], tuple[EvaluateConfig]]:
        """Another process makes its own: that is less to send than environment and policies."""
        return Stage, (self.config,)

    def play(self, task: Task, *_: Any) -> EpisodeRecord:
        """One episode of one scheduler; depends on nothing that was played before."""
        return self.play_with(self.schedulers[task.scheduler], task.episode)

    def play_with(self, scheduler: Scheduler, episode: int) -> EpisodeRecord:
        """The same with a scheduler that need not be one of these."""
        return play_scheduler(self.env, scheduler, episode, episode_seed(self.config.seed, episode))
