"""What the episodes of an evaluation are played with."""

from __future__ import annotations

from typing import Any

import torch

from snakegym.agents.protocol import Scheduler
from snakegym.agents.registry import make_scheduler
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.training.episodes.play import EpisodeRecord, episode_seed, play_scheduler
from snakegym.training.evaluate.config import EvaluateConfig
from snakegym.training.runs.manifest import scenario_of
from snakegym.training.runs.partial import Task


class Stage:
    """The environment and the schedulers of an evaluation, each made once in each process.

    Raises:
        SnakegymError: bad scenario, traces or scheduler.
    """

    def __init__(self, config: EvaluateConfig) -> None:
        # More threads only add jitter, and another summation order would change the last digits.
        torch.set_num_threads(1)
        self.config = config
        self.env = SerpentineEnv(
            scenario_of(config.scenario, config.skip_bad_traces, config.trace_format, config.set),
            split=config.split,
            traces=config.traces,
            layer_order=config.layer_order,
        )
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
        seed = episode_seed(self.config.seed, task.episode)
        return play_scheduler(self.env, self.schedulers[task.scheduler], task.episode, seed)
