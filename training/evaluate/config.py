"""What `snakegym evaluate` can be asked. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from snakegym.errors import SnakegymError
from snakegym.scenario import LayerOrder, Split
from snakegym.training.options import (
    Folder,
    Int,
    RayAddress,
    Text,
    at_least_one,
    not_negative,
    printable,
    said_default,
    said_once,
)
from snakegym.training.tracking.options import Labels, WandbMode, tracker_names


@dataclass(frozen=True)
class EvaluateConfig:
    """Compare schedulers on the same episodes.

    Every scheduler meets the same traces, data and initial models. Leaves evaluation.json (the
    same bytes whenever it is repeated), evaluation.csv and pictures in the output folder.
    An evaluation that was interrupted goes on where it stopped when the command is repeated.
    """

    scheduler: tyro.conf.UseAppendAction[tuple[str, ...]]
    """A registered scheduler or the folder of a training run; repeat it to compare several.
    Runs that differ in the seed alone count as one scheduler with several training seeds."""
    out: Path
    """Output folder; new, empty, or of the same evaluation."""
    scenario: str = "default"
    """Name of a scenario (see `snakegym scenarios`), or a .yaml file."""
    set: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """FIELD=VALUE: a field of the scenario that is to be different, as in `snakegym train`."""
    split: Split = "test"
    """Which traces: train, validation or test."""
    episodes: int = 20
    """Episodes for each scheduler."""
    seed: int = 0
    """Seeds the episodes: episode i is the same for every scheduler."""
    traces: Folder = None
    """Folder with traces of your own, in any known format, instead of the scenario's (`snakegym traces`)."""
    skip_bad_traces: bool = False
    """Go on without the files in it that cannot be used, after naming them."""
    trace_format: Text = None
    """Which format its files are of, or formats, parted by | (`snakegym traces inspect --help`)."""
    layer_order: Annotated[LayerOrder | None, tyro.conf.arg(help_behavior_hint=said_default)] = None
    """Who chooses the layer: free (the scheduler) or a fixed order; default: as the scenario says."""
    baseline: Text = None
    """The one of the schedulers that the others are compared with. Default: the first that was not trained,
    else the first."""
    stochastic: bool = False
    """Learned policies draw their actions, as in training, instead of taking the most likely one; seeded."""
    track: str = "wandb"
    """Where metrics, tables and pictures go besides the folder: wandb (Weights & Biases), tensorboard, or
    both with a comma between them."""
    wandb: WandbMode = "disabled"
    """Weights & Biases: logs tables and pictures if it is not disabled; auto as in `snakegym train`."""
    labels: Annotated[Labels, tyro.conf.arg(name="")] = field(default_factory=Labels)
    """How the run is labelled there."""
    jobs: Int = None
    """Processes that play episodes; results do not depend on it. Default: one a core, at most 4, and no
    more than there are 20 episodes for each."""
    ray: RayAddress = None
    """Play on the machines of a Ray cluster instead: host:port, ray://host:port, auto (one that this machine
    belongs to) or local (one of this machine, started and ended with the command). Results are the same."""

    def validate(self) -> None:
        """Raise SnakegymError for the first option whose value is impossible."""
        tracker_names(self.track)
        at_least_one(episodes=self.episodes, jobs=1 if self.jobs is None else self.jobs)
        not_negative(seed=self.seed)
        if not self.scheduler:
            raise SnakegymError("--scheduler: found none, expected one at least")
        said_once("scheduler", self.scheduler)
        printable("scheduler", self.scheduler)
        if self.baseline is not None and self.baseline not in self.scheduler:
            raise SnakegymError(
                f"--baseline: found '{self.baseline}', expected one of {', '.join(self.scheduler)}"
            )
