"""What keeps a tracker's faults from a training."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from snakegym.errors import in_one_line
from snakegym.training.tracking.tracker import Tracker


class Guarded:
    """A tracker whose methods may raise: the first fault is said once, and then it is left alone.

    Args:
        tracker: that may.
        name: of it, for the warning.
    """

    def __init__(self, tracker: Tracker, name: str) -> None:
        self._tracker: Tracker | None = tracker
        self._name = name

    @property
    def stop(self) -> bool:
        """Whether somebody has asked there to stop the run."""
        return self._tracker is not None and self._tracker.stop

    def log(self, metrics: Mapping[str, float], timesteps: int) -> None:
        self._safely(lambda tracker: tracker.log(metrics, timesteps))

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self._safely(lambda tracker: tracker.table(name, columns, rows))

    def picture(self, name: str, path: Path, caption: str = "") -> None:
        self._safely(lambda tracker: tracker.picture(name, path, caption))

    def model(self, name: str, files: Sequence[Path], about: Mapping[str, Any]) -> None:
        self._safely(lambda tracker: tracker.model(name, files, about))

    def finish(self, summary: Mapping[str, Any], exit_code: int = 0) -> None:
        self._safely(lambda tracker: tracker.finish(summary, exit_code))
        self._tracker = None

    def _safely(self, action: Callable[[Tracker], None]) -> None:
        if self._tracker is None:
            return
        try:
            action(self._tracker)
        except Exception as error:  # tracking must never end a training run
            self._tracker = None
            warn(f"{self._name} failed, training goes on without it: {in_one_line(error)}")


def warn(message: str) -> None:
    """Tell the user at once."""
    print(f"warning: {message}", file=sys.stderr)
