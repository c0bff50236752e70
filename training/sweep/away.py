"""Trials on machines that have none of our files: what each side says, and the worker's part of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from snakegym.agents.trained.config import CONFIG
from snakegym.documents import parse_json
from snakegym.training.learn.config import TrainConfig
from snakegym.training.pool.parcel import PLACE, Parcel, place_of, placed, replaced, scratch
from snakegym.training.pool.seam import Say
from snakegym.training.sweep.trial import Task, Worker
from snakegym.training.sweep.trials import Proposal, Result, Trials

Files = Mapping[str, bytes]
"""By their path below the folder of a trial."""


class Begin(NamedTuple):
    """Asks for what is to be done for a task; the answer is an `Order`."""

    task: Task


class Send(NamedTuple):
    """Asks for a parcel that is not on this machine yet."""

    digest: str


class Done(NamedTuple):
    """Says what came of a task."""

    task: Task
    result: Result
    files: Files
    """With places in the parcel in the options of runs."""


class Order(NamedTuple):
    """What is to be done for a task."""

    proposal: Proposal
    result: Result | None
    """If it is done already."""
    options: TrainConfig | None
    """With places in the parcel; None: those that the sweep says are impossible."""
    digest: str
    """Of the parcel."""
    environment: Mapping[str, str]
    """Of the parcel."""
    files: Files
    """What there is of its trainings."""


@dataclass(frozen=True)
class Away:
    """Runs trials of a sweep whose folder is elsewhere; arguments: its worker."""

    worker: Worker

    def __call__(self, task: Task, say: Say) -> Result | None:
        """What came of the trial; None if another command runs it. Raises SnakegymError as `Worker`."""
        order: Order | None = say(Begin(task))
        if order is None:
            return None
        if order.result is not None:
            return order.result
        root = place_of(order.digest)
        parcel: Parcel | None = None if root.is_dir() else say(Send(order.digest))
        if parcel is not None:
            root = parcel.unpack()
        os.environ.update(placed(order.environment, root))
        with scratch() as folder:
            trials = Trials(folder)
            trials.propose(order.proposal)
            place = trials.place(task.number)
            write_files(
                place,
                {name: moved(name, data, PLACE, f"{root}{os.sep}") for name, data in order.files.items()},
            )
            options = order.options and placed(order.options, root)
            result = replace(self.worker, folder=folder).run(trials, order.proposal, task, say, options)
            names = self.worker.names(task)
            files = {
                name: moved(name, data, f"{root}{os.sep}", PLACE)
                for name, data in files_of(place, names).items()
            }
            say(Done(task, result, files))
            return result


def files_of(place: Path, names: Iterable[str]) -> dict[str, bytes]:
    """All files of the trainings of these names in the folder of a trial."""
    return {
        file.relative_to(place).as_posix(): file.read_bytes()
        for name in names
        for file in [place / f"{name}.json", place / f"{name}.log", *sorted((place / name).rglob("*"))]
        if file.is_file()
    }


def moved(name: str, content: bytes, before: str, after: str) -> bytes:
    """The file, if it holds the options of a run, with one text in them for another."""
    if Path(name).name != CONFIG:
        return content
    return (
        json.dumps(replaced(parse_json(content, name, finite=False), before, after), indent=2) + "\n"
    ).encode()


def write_files(folder: Path, files: Files) -> None:
    """Write files below a folder that nobody else knows of yet."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
