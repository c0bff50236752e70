"""What a sweep's folder holds of its trials: which there are, who runs them, what came of them.

A trial is claimed by a lock on a file in its folder, which the system releases when its process ends, however
it ends. So no two processes run one, and one that was killed is free again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field

from snakegym.training.runs.folder import make_folder, read_shape, write_json

State = Literal["finished", "stopped", "failed"]
CLAIM_S = 10.0
"""To wait for a process that ends but is not gone: more than its grace."""


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class Proposal(_Part):
    """A trial as it was decided on."""

    number: Annotated[int, Field(ge=0)]
    variables: dict[str, float]
    """What was searched over."""
    parameters: dict[str, Any]
    """What they stand for."""


class Report(_Part):
    """A logged value of the metric."""

    timesteps: Annotated[int, Field(ge=0)]
    value: float


class Result(_Part):
    """A trial that is over."""

    state: State
    value: float | None
    """Of the metric at its end, the mean over seeds."""
    values: dict[str, float]
    """By the name of the training's folder: one a seed."""
    message: str = ""
    """Why it failed."""
    measures: dict[str, float] = {}
    """Of the best model of its first training, on validation episodes: accuracy and costs."""


class Trials:
    """The trials in a folder.

    Args:
        folder: of the sweep.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "trials"

    def place(self, number: int) -> Path:
        """Where a trial lies."""
        return self.folder / f"{number:04d}"

    def numbers(self) -> list[int]:
        """Those that were decided on."""
        return sorted(int(path.parent.name) for path in self.folder.glob("[0-9]*/trial.json"))

    def proposal(self, number: int) -> Proposal | None:
        """The trial, if it was decided on. Raises SnakegymError for a damaged file."""
        path = self.place(number) / "trial.json"
        return read_shape(path, Proposal, "snakegym sweep") if path.exists() else None

    def result(self, number: int) -> Result | None:
        """What came of it, if it is over. Raises SnakegymError for a damaged file."""
        path = self.place(number) / "result.json"
        return read_shape(path, Result, "snakegym sweep") if path.exists() else None

    def reports(self, number: int, run: str = "run-0") -> list[Report]:
        """The values that one of its trainings has logged so far."""
        path = self.place(number) / f"{run}.json"
        return read_shape(path, list[Report], "snakegym sweep") if path.exists() else []

    def propose(self, proposal: Proposal) -> None:
        """Keep a decision."""
        make_folder(self.place(proposal.number))
        write_json(self.place(proposal.number) / "trial.json", proposal.model_dump())

    def report(self, number: int, run: str, reports: list[Report]) -> None:
        """Keep what is logged."""
        write_json(self.place(number) / f"{run}.json", [report.model_dump() for report in reports], None)

    def conclude(self, number: int, result: Result) -> None:
        """Keep a result; the trial is over with it."""
        write_json(self.place(number) / "result.json", result.model_dump())

    @contextlib.contextmanager
    def claimed(self, number: int, part: str = "trial") -> Iterator[bool]:
        """Hold a trial, or another part of it; whether nobody else does."""
        make_folder(self.place(number))
        lock = FileLock(self.place(number) / f"{part}.lock")
        try:
            lock.acquire(timeout=CLAIM_S)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    @contextlib.contextmanager
    def deciding(self) -> Iterator[None]:
        """Hold the right to decide on a trial: the next one has to know of it."""
        make_folder(self.folder)
        with FileLock(self.folder / "decide.lock"):
            yield
