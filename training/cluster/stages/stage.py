"""What a process needs beside its scheduler: a controller, who carries its jobs out, and who sits where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from snakegym.control.controller import ProcessController
from snakegym.control.execution.executor import SimulatedExecutor
from snakegym.control.progress.checkpoint import ProcessCheckpoint
from snakegym.control.records import Hop, Job
from snakegym.control.service import Service
from snakegym.models.state import ModelState


class Stage(Protocol):
    """Carries out what is decided for one process."""

    @property
    def controller(self) -> ProcessController:
        """Of the process; another object after `seat`."""
        ...

    def resume(self, checkpoint: ProcessCheckpoint, kept: dict[str, Any]) -> None:
        """Go on from there; `kept` is what `keep` gave."""
        ...

    def keep(self) -> dict[str, Any]:
        """JSON: what has to be known beside the checkpoint."""
        ...

    def seat(self, names: Sequence[str | None]) -> list[str]:
        """Who sits where from now on; one line for each that cannot, whose seat stays empty."""
        ...

    def carry_out(self, job: Job) -> Hop:
        """Have a job done and book what came of it, if anything did."""
        ...

    def wait(self) -> None:
        """Let time pass, and book it."""
        ...

    def collect(self) -> ModelState:
        """The model that the process goes on with, from wherever it lies. Raises SnakegymError."""
        ...

    def close(self) -> None:
        """The process is over: nodes may forget it."""
        ...


class SimulatedStage:
    """A `Stage` on the simulated network of a service; what sits on a seat is as the scenario draws it.

    Args:
        service: with the traces of a split.
        seed: of network, data and initial model.
    """

    def __init__(self, service: Service, seed: int) -> None:
        self.controller: ProcessController
        self._executor: SimulatedExecutor
        self.controller, self._executor = service.start(np.random.default_rng(seed))

    def resume(self, checkpoint: ProcessCheckpoint, kept: dict[str, Any]) -> None:
        self.controller.restore(checkpoint)

    def keep(self) -> dict[str, Any]:
        return {}

    def seat(self, names: Sequence[str | None]) -> list[str]:
        return []

    def carry_out(self, job: Job) -> Hop:
        return self.controller.complete(job.id, self._executor.run(job))

    def wait(self) -> None:
        self.controller.wait()

    def collect(self) -> ModelState:
        return self.controller.state

    def close(self) -> None:
        """Nothing is left anywhere."""
