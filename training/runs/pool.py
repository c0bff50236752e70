"""Tasks worked through here or in several processes: the one pool of all commands.

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
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from snakegym.errors import SnakegymError, SnakegymWarning
from snakegym.processes import deaf_to_ctrl_c

Task = TypeVar("Task", bound=Hashable)
Result = TypeVar("Result")
Say = Callable[[Any], None]
"""Sends a message from a task to the parent; raises Stopped when the result is not wanted any more."""

MOST_PROCESSES = 4
"""Without being asked for more."""
POLL_S = 0.3
"""Between two looks for messages."""
GRACE_S = 5.0
"""For a task that is not wanted any more to end by itself (see `Say`)."""


class WorkerDied(SnakegymError):
    """A worker process ended in the middle of a task."""


class Stopped(Exception):
    """The parent has no more use for the task."""


def n_processes(jobs: int | None, tasks: int, worth_a_process: int = 1) -> int:
    """How many processes to use: as asked, else one a core, at most 4; never more than tasks.

    Args:
        jobs: as asked, 1 or more.
        tasks: how many there are.
        worth_a_process: tasks that each process should have at least, unless asked for.
    """
    if jobs is not None:
        return max(1, min(jobs, tasks))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, MOST_PROCESSES, tasks // worth_a_process))


@contextmanager
def working(
    work: Callable[[Task, Say], Result],
    tasks: Sequence[Task],
    processes: int,
    *,
    heard: Callable[[Any], None] = lambda _: None,
    threads: int | None = 1,
) -> Iterator[Iterator[tuple[Task, Result]]]:
    """Work through tasks; gives each of them with its result as soon as that is there.

    With one process all happens here, in the order of the tasks. Otherwise each worker process
    unpickles `work` once, before its first task. When the block is left early, tasks under way are
    told so by `Say`, and ended with their processes if that takes longer than GRACE_S.

    Args:
        work: of a task and a function that sends short messages; has to be picklable if processes > 1.
        tasks: picklable as well.
        processes: 1 or more.
        heard: called here with each message.
        threads: of torch in each worker process; None if the tasks do without torch.

    Raises:
        SnakegymError: from `work`; a WorkerDied because a worker process died.
    """
    if processes == 1:
        yield ((task, work(task, heard)) for task in tasks)
        return
    context = multiprocessing.get_context("spawn")
    messages, (lifeline, ours) = context.SimpleQueue(), context.Pipe(duplex=False)
    settings = (pickle.dumps(work), messages, lifeline, threads)
    pool = ProcessPoolExecutor(processes, context, initializer=_start, initargs=settings)
    try:
        with deaf_to_ctrl_c():
            futures: dict[Future[Any], Task] = {pool.submit(_run, task): task for task in tasks}
        yield _results(futures, messages, heard)
    finally:
        ours.close()
        pool.shutdown(wait=True, cancel_futures=True)
        lifeline.close()


def _results(
    futures: dict[Future[Any], Task], messages: Any, heard: Callable[[Any], None]
) -> Iterator[tuple[Task, Any]]:
    left = set(futures)
    try:
        while left:
            done, left = wait(left, timeout=POLL_S, return_when=FIRST_COMPLETED)
            _pass_on(messages, heard)
            for future in done:
                yield futures[future], future.result()
    except BrokenProcessPool:
        raise WorkerDied(
            "a worker process died (out of memory?): what is finished is kept, try again with --jobs 1"
        ) from None


def _pass_on(messages: Any, heard: Callable[[Any], None]) -> None:
    while not messages.empty():
        heard(messages.get())


class _Worker:
    """What a worker process knows."""

    def __init__(self, work: bytes, messages: Any, lifeline: Connection) -> None:
        self._pickled, self._messages, self._lifeline = work, messages, lifeline
        self._work: Callable[[Any, Say], Any] | None = None
        self._stop = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def run(self, task: Any) -> Any:
        if self._work is None:  # not before: an error in it is then the task's, with its message
            self._work = pickle.loads(self._pickled)
        return self._work(task, self._say)

    def _say(self, message: Any) -> None:
        if self._stop.is_set():
            raise Stopped
        self._messages.put(message)  # is under way when this returns, so no result overtakes it

    def _watch(self) -> None:
        """Wait for the end of the parent, or of its interest, and see that the process ends too."""
        self._lifeline.poll(None)
        self._stop.set()
        parent = multiprocessing.parent_process()
        if parent is not None and parent.is_alive():
            parent.join(GRACE_S)
        os._exit(1)


_worker: _Worker | None = None


def _start(work: bytes, messages: Any, lifeline: Connection, threads: int | None) -> None:
    global _worker
    _worker = _Worker(work, messages, lifeline)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends the pool
    warnings.simplefilter("ignore", SnakegymWarning)  # the parent has said it
    if threads is not None:
        import torch  # takes seconds

        torch.set_num_threads(threads)


def _run(task: Any) -> Any:
    assert _worker is not None, "the initializer ran"
    return _worker.run(task)
