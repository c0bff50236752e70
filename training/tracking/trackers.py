"""All trackers by name, and several of them as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from snakegym.training.tracking.options import WandbMode, tracker_names
from snakegym.training.tracking.tensorboard import start_tensorboard
from snakegym.training.tracking.tracker import About, NoTracker, Tracker
from snakegym.training.tracking.weights_and_biases import start_wandb


class Several:
    """Trackers that are all told the same."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._trackers = trackers

    @property
    def stop(self) -> bool:
        """Whether somebody has asked one of them to stop the run."""
        return any(tracker.stop for tracker in self._trackers)

    def log(self, metrics: Mapping[str, float], timesteps: int) -> None:
        for tracker in self._trackers:
            tracker.log(metrics, timesteps)

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        for tracker in self._trackers:
            tracker.table(name, columns, rows)

    def picture(self, name: str, path: Path, caption: str = "") -> None:
        for tracker in self._trackers:
            tracker.picture(name, path, caption)

    def model(self, name: str, files: Sequence[Path], about: Mapping[str, Any]) -> None:
        for tracker in self._trackers:
            tracker.model(name, files, about)

    def finish(self, summary: Mapping[str, Any], exit_code: int = 0) -> None:
        for tracker in self._trackers:
            tracker.finish(summary, exit_code)


def start_trackers(track: str, wandb: WandbMode, about: About) -> Tracker:
    """Begin a run in each of these trackers; what cannot be used is said in a warning, and left out.

    Args:
        track: names of trackers, with commas between them.
        wandb: the mode of Weights & Biases, if it is among them.
        about: the run.

    Raises:
        SnakegymError: a name is unknown.
    """
    start = {"wandb": lambda: start_wandb(wandb, about), "tensorboard": lambda: start_tensorboard(about)}
    started = [start[name]() for name in tracker_names(track)]
    trackers = [tracker for tracker in started if not isinstance(tracker, NoTracker)]
    return trackers[0] if len(trackers) == 1 else Several(trackers) if trackers else NoTracker()
