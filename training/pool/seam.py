"""What a pool is: the one seam between a command with many tasks and whoever works through them.

`opened` in the module beside this one gives the pool that an option asks for. Each keeps what
`tests/training/pool` demands of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol, TypeVar

from snakegym.errors import SnakegymError

Task = TypeVar("Task", bound=Hashable)
Result = TypeVar("Result")
Say = Callable[[Any], Any]
"""Sends a message from a task to the command, and gives what that answers; raises Stopped when the result is
not wanted any more."""
Heard = Callable[[Any], Any]
"""Called in the command with each message; what it gives is the answer."""

MOST_DEATHS: Final = 3
"""Of workers, in which nothing is finished: of all processes, one after the other, or of a cluster a task."""
GRACE_S: Final = 5.0
"""For a task that is not wanted any more to end by itself (see `Say`)."""


class WorkerDied(SnakegymError):
    """Workers ended in the middle of a task, again and again."""


class Stopped(Exception):
    """The command has no more use for the task."""


def say_died(deaths: int, what: str, advice: str) -> None:
    """Tell the user of a death. Raises WorkerDied, with these words, where it is one too many."""
    if deaths > MOST_DEATHS:
        raise WorkerDied(
            f"{deaths} times {what} (out of memory?): what is finished is kept, {advice}"
        ) from None
    print("a worker died: what it was at is done again", file=sys.stderr)


def nothing_to_say(_: Any) -> None:
    """The answer to messages that nobody waits for."""


class Pool(Protocol):
    """Works through tasks. What a worker was at when it died is done again, from its start."""

    @property
    def is_remote(self) -> bool:
        """Whether workers may be on machines that have none of our files: what they need goes with the work
        (`snakegym.training.pool.parcel`).
        """

    def width(self, jobs: int | None, tasks: int, worth_a_worker: int = 1) -> int:
        """How many tasks to work at, at a time; never more than there are.

        Args:
            jobs: as asked, 1 or more; None: as many as there are processors for.
            tasks: how many there are.
            worth_a_worker: tasks that each worker should have at least, unless asked for, as its start
                takes time.
        """

    def working(
        self,
        work: Callable[[Task, Say], Result],
        tasks: Sequence[Task],
        width: int,
        *,
        heard: Heard | None = None,
        threads: int | None = 1,
        device: str = "cpu",
    ) -> AbstractContextManager[Iterator[tuple[Task, Result]]]:
        """Work through tasks; gives each of them with its result as soon as that is there.

        Each worker unpickles `work` once, before its first task. When the block is left early, tasks under
        way are told so by `Say`, and ended with their workers if that takes longer than GRACE_S. Nothing of
        them is left when the block has been left.

        Args:
            work: of a task and a function that sends short messages; picklable.
            tasks: picklable as well.
            width: how many at a time, 1 or more.
            heard: called here with each message, maybe twice where a task is done again; None: there are
                none.
            threads: of torch in each worker; None if the tasks do without torch.
            device: where tasks compute, as PyTorch names it.

        Raises:
            SnakegymError: from `work`; a WorkerDied after MOST_DEATHS.
        """
