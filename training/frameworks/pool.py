"""Where the pieces of a comparison are trained: here, or in several processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from queue import Empty
from typing import Any

import torch

from snakegym.errors import SnakegymError
from snakegym.training.frameworks.runs import Piece, Runner, use_device

POLL_S = 0.3


def n_jobs(jobs: int | None, device: str, pieces: int) -> int:
    """Processes: as asked, else one a core (at most 4) on a CPU and one on a GPU."""
    if jobs is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        jobs = 1 if device.startswith("cuda") else min(cores, 4)
    return max(1, min(jobs, pieces))


def train_pieces(
    runner: Runner, pieces: Sequence[Piece], jobs: int, after_round: Callable[[Piece], None]
) -> None:
    """Train all pieces; `after_round` is called here after each round of each of them.

    With one job it happens here, and `use_device` is the caller's business.

    Raises:
        SnakegymError: bad data, model, traces or device, or a process that died.
    """
    if jobs == 1:
        for piece in pieces:
            runner.run(piece, lambda piece=piece: after_round(piece))  # type: ignore[misc]
        return
    context = multiprocessing.get_context("spawn")
    rounds, stop = context.Queue(), context.Event()
    threads = max(1, torch.get_num_threads() // jobs)
    pool = ProcessPoolExecutor(
        jobs, context, initializer=_start, initargs=(runner, rounds, stop, threads, os.getpid())
    )
    try:
        futures = {pool.submit(_run, piece) for piece in pieces}
        for piece in _finished_rounds(futures, rounds):
            after_round(piece)
    except BrokenProcessPool:
        raise SnakegymError(
            "a worker process died (out of memory?): what was trained is kept, try again with --jobs 1"
        ) from None
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _finished_rounds(futures: set[Future[None]], rounds: Any) -> Iterator[Piece]:
    """The piece of each round as it ends, until all futures are done; raises what a future raised."""
    while futures:
        done, futures = wait(futures, timeout=POLL_S, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
        try:
            while True:
                yield rounds.get_nowait()
        except Empty:
            pass


class _Stopped(Exception):
    """The parent has no more use for the piece."""


_worker: tuple[Runner, Any, Any, int] | None = None
"""Of a worker process: runner, queue of rounds, stop event, parent's process id."""


def _start(runner: Runner, rounds: Any, stop: Any, threads: int, parent: int) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends the pool
    torch.set_num_threads(threads)
    use_device(runner.device, runner.comparison.tf32)
    _worker = (runner, rounds, stop, parent)


def _run(piece: Piece) -> None:
    assert _worker is not None, "the initializer ran"
    runner, rounds, stop, parent = _worker

    def after_round() -> None:
        if os.getppid() != parent:  # killed: nobody reads the queue any more
            os._exit(1)
        rounds.put(piece)
        if stop.is_set():
            raise _Stopped

    try:
        runner.run(piece, after_round)
    except _Stopped:
        return
