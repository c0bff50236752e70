"""A process is attended by one program at a time, which tells why it failed if it does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from snakegym.errors import SnakegymError, in_one_line
from snakegym.training.cluster.local.keeping import Keeper

LONGEST = 500
"""Characters of a reason."""


class Leave(Exception):
    """The host wants the process to end here, so that it can be resumed."""


@contextmanager
def attended(folder: Path, patience_s: float) -> Iterator[Keeper]:
    """What keeps a process in its folder, for this program alone.

    Leave, raised in the block, ends it; whatever else is raised there the process has failed of.

    Args:
        folder: of the process.
        patience_s: for another program to let go of it: one who served a provider that was killed may be at
            its last hop still.
    """
    keeper = Keeper(folder)
    try:
        with FileLock(folder / "run.lock", timeout=patience_s):
            yield keeper
    except Leave:
        pass
    except Exception as error:  # a scheduler of somebody's own may raise anything
        fail(keeper, in_one_line(error) if isinstance(error, SnakegymError) else said(error))


def give_up(folder: Path, reason: str) -> None:
    """End a process that nobody attends any more as one that has failed."""
    keeper = Keeper(folder)
    keeper.take_up()
    fail(keeper, reason)


def fail(keeper: Keeper, reason: str) -> None:
    """Tell that the process has failed."""
    keeper.tell({"at": round(time.time(), 3), "kind": "failed", "reason": reason[:LONGEST]})
    keeper.finish()


def said(error: Exception) -> str:
    """What kind of error it is, and what it says, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
