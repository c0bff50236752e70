"""Where the episodes of an evaluation are played: here, or in several processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

import torch

from snakegym.agents.protocol import Scheduler
from snakegym.agents.registry import make_scheduler
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.errors import SnakegymError, SnakegymWarning
from snakegym.training.episodes.play import EpisodeRecord, episode_seed, play_scheduler
from snakegym.training.evaluate.config import EvaluateConfig
from snakegym.training.runs.manifest import scenario_of
from snakegym.training.runs.partial import Task

EPISODES_WORTH_A_PROCESS = 20
"""A process takes seconds to start: with fewer episodes each, one does it sooner."""


Play = Callable[[Sequence[Task]], Iterable[tuple[Task, EpisodeRecord]]]


class Stage:
    """The environment and the schedulers of an evaluation, each made once.

    Raises:
        SnakegymError: bad scenario, traces or scheduler.
    """

    def __init__(self, config: EvaluateConfig) -> None:
        # More threads only add jitter, and another summation order would change the last digits.
        torch.set_num_threads(1)
        self.config = config
        self.env = SerpentineEnv(
            scenario_of(config.scenario, config.skip_bad_traces),
            split=config.split,
            traces=config.traces,
            layer_order=config.layer_order,
        )
        self.schedulers: dict[str, Scheduler] = {
            spec: make_scheduler(spec, self.env.scenario) for spec in config.scheduler
        }

    def play(self, task: Task) -> EpisodeRecord:
        """One episode of one scheduler; depends on nothing that was played before."""
        seed = episode_seed(self.config.seed, task.episode)
        return play_scheduler(self.env, self.schedulers[task.scheduler], task.episode, seed)


def n_workers(config: EvaluateConfig, n_tasks: int) -> int:
    """How many processes to use: as asked, else as the machine and the number of episodes suggest."""
    if config.jobs is not None:
        return min(config.jobs, max(n_tasks, 1))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, 4, n_tasks // EPISODES_WORTH_A_PROCESS))


@contextmanager
def open_workers(stage: Stage, n_tasks: int) -> Iterator[Play]:
    """A function that plays tasks and yields each record as soon as it is there."""
    workers = n_workers(stage.config, n_tasks)
    if workers == 1:
        yield lambda tasks: ((task, stage.play(task)) for task in tasks)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(stage.config,))
    try:
        yield lambda tasks: _play_in(pool, tasks)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _play_in(pool: ProcessPoolExecutor, tasks: Sequence[Task]) -> Iterator[tuple[Task, EpisodeRecord]]:
    futures = {pool.submit(_play, task): task for task in tasks}
    try:
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool:
        raise SnakegymError(
            "a worker process died (out of memory?): finished episodes are kept, try again with --jobs 1"
        ) from None


_stage: Stage | None = None
"""Of a worker process."""


def _start_worker(config: EvaluateConfig) -> None:
    global _stage
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends the pool
    warnings.simplefilter("ignore", SnakegymWarning)  # the parent has said it
    _stage = Stage(config)


def _play(task: Task) -> EpisodeRecord:
    assert _stage is not None, "the initializer ran"
    return _stage.play(task)
