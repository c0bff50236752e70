"""What tasks of the tests do, where workers of any kind find it; a task is a folder for notes and a number.

Run as a script, it works through four tasks of each kind that it is told, and prints a line about each kind.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from snakegym.errors import SnakegymError
from snakegym.training.pool.opened import opened
from snakegym.training.pool.seam import Say, Stopped

Task = tuple[str, int]


def note(task: Task, what: str) -> bool:
    """Leave a note; whether there was none."""
    path = Path(task[0]) / f"{what}-{task[1]}"
    new = not path.exists()
    path.touch()
    return new


def square(task: Task, say: Say) -> tuple[int, Any, int]:
    return task[1] ** 2, say(task[1]), os.getpid()


def threads(task: Task, say: Say) -> tuple[int, None, int]:
    import torch

    return torch.get_num_threads(), None, os.getpid()


def sleep(task: Task, say: Say) -> None:
    note(task, "began")
    time.sleep(600)


def compute(task: Task, say: Say) -> None:
    note(task, "began")
    while True:
        pass


def report(task: Task, say: Say) -> None:
    note(task, "began")
    try:
        while True:
            time.sleep(0.01)
            say(task[1])
    except Stopped:
        note(task, "stopped")
        raise


def die(task: Task, say: Say) -> None:
    os.kill(os.getpid(), 9)


def die_once(task: Task, say: Say) -> tuple[int, Any, int]:
    if task[1] == 2 and note(task, "died"):
        die(task, say)
    return square(task, say)


def fail(task: Task, say: Say) -> None:
    raise SnakegymError("file x: bad")


class Unreadable:
    """Cannot be unpickled."""

    def __call__(self, task: Task, say: Say) -> None: ...

    def __reduce__(self) -> Any:
        return fail, ("", 0)


def main(address: str, leave: bool, kinds: list[str]) -> None:
    with opened(address or None) as pool:
        for kind in kinds:
            work: Any = Unreadable() if kind == "Unreadable" else globals()[kind]
            tasks = [(os.getcwd(), i) for i in range(4)]
            options = {"threads": 3} if kind == "threads" else {"threads": None}
            try:
                with pool.working(work, tasks, 2, heard=lambda m: m + 100, **options) as done:
                    if leave:
                        while len(list(Path().glob("began-*"))) < 2:
                            time.sleep(0.01)
                        raise SnakegymError("left")
                    results = dict(done)
                values, answers, workers = zip(*[results[task] for task in tasks], strict=True)
                print(kind, list(values), list(answers), os.getpid() in workers, flush=True)
            except SnakegymError as error:
                print(kind, "error:", error, flush=True)


if __name__ == "__main__":
    import works  # by its own name workers find it

    warnings.simplefilter("ignore")
    works.main(sys.argv[1], "--leave" in sys.argv, [w for w in sys.argv[2:] if w != "--leave"])
