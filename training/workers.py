"""Where the episodes of an evaluation are played: here, or in several processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple

import torch

from agents.protocol import Scheduler
from agents.registry import make_scheduler
from envs.serpentine import SerpentineEnv
from snakegym.errors import SnakegymError
from training.config import EvaluateConfig
from training.episodes import EpisodeRecord, episode_seed, play_scheduler

EPISODES_WORTH_A_PROCESS = 10
"""A process takes seconds to start: with fewer episodes each, one does it sooner."""


class Task(NamedTuple):
    """One scheduler on one episode."""

    scheduler: str
    episode: int


Play = Callable[[Sequence[Task]], Iterable[tuple[Task, EpisodeRecord]]]


@lru_cache(maxsize=64)
def stage(config: EvaluateConfig, spec: str) -> tuple[SerpentineEnv, Scheduler]:
    """The environment (one for all) and a scheduler made for it. Raises SnakegymError for bad input."""
    env = _environment(config)
    return env, make_scheduler(spec, env.scenario)


@lru_cache(maxsize=1)
def _environment(config: EvaluateConfig) -> SerpentineEnv:
    # More threads only add jitter, and another summation order would change the last digits.
    torch.set_num_threads(1)
    return SerpentineEnv(
        config.scenario, split=config.split, traces=config.traces, layer_order=config.layer_order
    )


def play_task(config: EvaluateConfig, task: Task) -> EpisodeRecord:
    """One episode of one scheduler; depends on nothing but the arguments."""
    env, scheduler = stage(config, task.scheduler)
    return play_scheduler(env, scheduler, task.episode, episode_seed(config.seed, task.episode))


def n_workers(config: EvaluateConfig, n_tasks: int) -> int:
    """How many processes to use: as asked, else as the machine and the number of episodes suggest."""
    if config.jobs is not None:
        return min(config.jobs, max(n_tasks, 1))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, 4, n_tasks // EPISODES_WORTH_A_PROCESS))


@contextmanager
def open_workers(config: EvaluateConfig, n_tasks: int) -> Iterator[Play]:
    """A function that plays tasks and yields each record as soon as it is there."""
    workers = n_workers(config, n_tasks)
    if workers == 1:
        yield lambda tasks: ((task, play_task(config, task)) for task in tasks)
        return
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_start_worker)
    try:
        yield lambda tasks: _play_in(pool, config, tasks)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _play_in(
    pool: ProcessPoolExecutor, config: EvaluateConfig, tasks: Sequence[Task]
) -> Iterator[tuple[Task, EpisodeRecord]]:
    futures = {pool.submit(play_task, config, task): task for task in tasks}
    try:
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool:
        raise SnakegymError(
            "a worker process died (out of memory?): finished episodes are kept, try again with --jobs 1"
        ) from None


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends the pool
    torch.set_num_threads(1)
