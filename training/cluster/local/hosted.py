"""What any host knows of a process that it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from snakegym.errors import SnakegymError
from snakegym.training.cluster.hosting import Order, RunState, Status
from snakegym.training.cluster.local.keeping import Log, read_status

DEATHS = 3
"""In a row, without a hop between them, after which a process is given up."""


@dataclass
class Hosted:
    """A process, its folder and what happened to whoever runs it."""

    order: Order
    folder: Path
    log: Log
    deaths: int = 0
    told: int = 0
    """Events when it was begun last."""

    def status(self, state: RunState) -> Status:
        """How it stands: in that state, and otherwise as it was told last."""
        found = read_status(self.folder)
        return Status(state, found.get("machine", ""), found.get("snapshot", {}))

    def begins(self) -> None:
        """It is begun, or once more."""
        self.told = len(self.log)

    def dies(self) -> bool:
        """Whoever ran it has died; whether it is worth another one."""
        self.deaths = 1 if len(self.log) > self.told + 1 else self.deaths + 1
        return self.deaths < DEATHS


def folder_of(parent: Path, order: Order, *, running: bool) -> Path:
    """Where that process is to be kept. Raises SnakegymError: it runs, or is there already."""
    if running:
        raise SnakegymError(f"process '{order.process}': runs already")
    folder = parent / order.process
    if folder.exists() and not order.resume:
        raise SnakegymError(f"{folder}: is there already, expected none of a new process")
    return folder
