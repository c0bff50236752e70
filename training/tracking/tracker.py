"""The interface of all trackers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from snakegym.training.tracking.options import Labels


@dataclass(frozen=True)
class About:
    """What a tracker is told of a run at its beginning."""

    folder: Path
    """The run folder; the tracker's own files go below it."""
    run_id: str
    """Stays the same when a run is resumed, so that its parts are joined."""
    name: str
    """Shown to people, unless their labels say otherwise."""
    job_type: str
    """Which command it is of, likewise."""
    config: Mapping[str, Any]
    """Hyperparameters and so on, once, as plain JSON data."""
    labels: Labels = field(default_factory=Labels)


class Tracker(Protocol):
    """Where metrics go besides the run folder. No method raises: what is tracked goes on without it."""

    @property
    def stop(self) -> bool:
        """Whether somebody has asked there to stop the run."""
        ...

    def log(self, metrics: Mapping[str, float], timesteps: int) -> None:
        """Metrics at this number of environment steps."""
        ...

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """A table of plain values, one for the whole run."""
        ...

    def picture(self, name: str, path: Path, caption: str = "") -> None:
        """A picture (.png) or a film (.gif, .mp4), one for the whole run."""
        ...

    def model(self, name: str, files: Sequence[Path], about: Mapping[str, Any]) -> None:
        """Files that together are a model, with plain data about it."""
        ...

    def finish(self, summary: Mapping[str, Any], exit_code: int = 0) -> None:
        """Final metrics; nothing is logged afterwards."""
        ...


class NoTracker:
    """Drops everything."""

    stop = False

    def log(self, metrics: Mapping[str, float], timesteps: int) -> None: ...

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None: ...

    def picture(self, name: str, path: Path, caption: str = "") -> None: ...

    def model(self, name: str, files: Sequence[Path], about: Mapping[str, Any]) -> None: ...

    def finish(self, summary: Mapping[str, Any], exit_code: int = 0) -> None: ...
