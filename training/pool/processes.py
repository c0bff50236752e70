"""Tasks worked through here or in several processes.

A worker never outlives its use. It holds the read end of a pipe whose write end is the parent's
alone: where that is closed, be it by the parent or by a SIGKILL of it, the worker ends, even in the
middle of a task.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any

from snakegym.errors import SnakegymWarning
from snakegym.processes import deaf_to_ctrl_c
from snakegym.training.pool.seam import (
    GRACE_S,
    Heard,
    Result,
    Say,
    Stopped,
    Task,
    nothing_to_say,
    say_died,
)

MOST_PROCESSES = 4
"""Without being asked for more."""
POLL_S = 0.05
"""Between two looks for results."""


class Processes:
    """The pool of this machine: with a width of 1 all happens in this process, in the order of the tasks."""

    is_remote = False

    def width(self, jobs: int | None, tasks: int, worth_a_worker: int = 1) -> int:
        """As asked, else one a core, at most MOST_PROCESSES; see `Pool`."""
        if jobs is not None:
            return max(1, min(jobs, tasks))
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, min(cores, MOST_PROCESSES, tasks // worth_a_worker))

    @contextmanager
    def working(
        self,
        work: Callable[[Task, Say], Result],
        tasks: Sequence[Task],
        width: int,
        *,
        heard: Heard | None = None,
        threads: int | None = 1,
        device: str = "cpu",
    ) -> Iterator[Iterator[tuple[Task, Result]]]:
        """Work through tasks; see `Pool`."""
        heard = heard or nothing_to_say
        if width == 1:
            yield ((task, work(task, heard)) for task in tasks)
            return
        pickled, left = pickle.dumps(work), list(tasks)
        crew = _Crew(pickled, left, width, threads)

        def results() -> Iterator[tuple[Task, Result]]:
            nonlocal crew
            deaths = 0
            while True:
                try:
                    for task, result in crew.results(heard):
                        left.remove(task)
                        deaths = 0
                        yield task, result
                    return
                except BrokenProcessPool:
                    deaths += 1
                    crew.end()
                    say_died(deaths, "a worker process died", "try again with --jobs 1")
                    crew = _Crew(pickled, left, width, threads)

        try:
            yield results()
        finally:
            crew.end()


class _Crew:
    """Worker processes, until one of them dies."""

    def __init__(self, work: bytes, tasks: Sequence[Any], width: int, threads: int | None) -> None:
        context = multiprocessing.get_context("spawn")
        pipes = [context.Pipe() for _ in range(width)]
        self._lines, theirs = [ours for ours, _ in pipes], [line for _, line in pipes]
        self._lifeline, self._ours = context.Pipe(duplex=False)
        places = context.SimpleQueue()
        for place in range(width):
            places.put(place)
        settings = (work, places, theirs, self._lifeline, threads)
        self._pool = ProcessPoolExecutor(width, context, initializer=_start, initargs=settings)
        self._theirs = theirs
        self._finished: deque[Future[Any]] = deque()
        try:
            with deaf_to_ctrl_c():
                self._tasks: dict[Future[Any], Any] = {self._pool.submit(_run, task): task for task in tasks}
        except BaseException:  # Ctrl-C came meanwhile: workers are there, and nobody else knows of them yet
            self.end()
            raise
        for future in self._tasks:
            future.add_done_callback(self._finished.append)

    def results(self, heard: Heard) -> Iterator[tuple[Any, Any]]:
        """Each task with its result. Raises BrokenProcessPool when a worker died."""
        for _ in range(len(self._tasks)):
            while not self._finished:
                for line in wait(self._lines, POLL_S):
                    assert isinstance(line, Connection)
                    line.send(heard(line.recv()))
            future = self._finished.popleft()
            yield self._tasks[future], future.result()

    def end(self) -> None:
        """No process is left when this returns; tasks under way have their grace."""
        for line in (self._ours, *self._lines):
            line.close()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for line in (self._lifeline, *self._theirs):
            line.close()


class _Worker:
    """What a worker process knows."""

    def __init__(self, work: bytes, line: Connection, lifeline: Connection) -> None:
        self._pickled, self._line, self._lifeline = work, line, lifeline
        self._work: Callable[[Any, Say], Any] | None = None
        self._stop = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def run(self, task: Any) -> Any:
        if self._work is None:  # not before: an error in it is then the task's, with its message
            self._work = pickle.loads(self._pickled)
        return self._work(task, self._say)

    def _say(self, message: Any) -> Any:
        if self._stop.is_set():
            raise Stopped
        try:
            self._line.send(message)
            return self._line.recv()
        except (EOFError, OSError):
            raise Stopped from None

    def _watch(self) -> None:
        """Wait for the end of the parent, or of its interest, and see that the process ends too."""
        self._lifeline.poll(None)
        self._stop.set()
        parent = multiprocessing.parent_process()
        if parent is not None and parent.is_alive():
            parent.join(GRACE_S)
        os._exit(1)


_worker: _Worker | None = None


def _start(
    work: bytes, places: Any, lines: Sequence[Connection], lifeline: Connection, threads: int | None
) -> None:
    global _worker
    _worker = _Worker(work, lines[places.get()], lifeline)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends the pool
    warnings.simplefilter("ignore", SnakegymWarning)  # the parent has said it
    if threads is not None:
        import torch  # takes seconds

        torch.set_num_threads(threads)


def _run(task: Any) -> Any:
    assert _worker is not None, "the initializer ran"
    return _worker.run(task)
