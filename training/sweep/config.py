"""What `snakegym sweep` can be asked. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from snakegym.training.options import Int, RayAddress, at_least_one, not_negative
from snakegym.training.tracking.options import Labels, WandbMode, tracker_names


@dataclass(frozen=True)
class SweepConfig:
    """Train with many settings, as a sweep file of Weights & Biases says, and find the best.

    The file is one as W&B takes it; snakegym ships a few (ppo, weights, nodes). Online, W&B's server
    gives out the trials, and this command is an agent of it. Otherwise they are chosen here: all points of a
    grid, at random, or by Optuna. Repeat the command after an interruption: finished trials are kept,
    interrupted ones go on from their checkpoints. Several commands may work on one folder at a time.

    Leaves best.yaml (for `snakegym train --config`), summary.json, importance.png, parallel.png and the
    run folders of all trials, each with a W&B run in one group.
    """

    file: tyro.conf.Positional[str]
    """A .yaml file, or the name of a sweep that ships with snakegym."""
    out: Path
    """Output folder; new, empty, or of the same sweep. It remembers the sweep on W&B's server, too."""
    trials: Int = None
    """How many; default: the file's run_cap, else all points of a grid. May be raised later."""
    workers: Int = None
    """Trials trained at a time, each in a process of its own. Default: one a core, at most 4; with
    --ray one a processor of the cluster."""
    seed: int = 0
    """Of the choice of settings."""
    seeds_per_trial: int = 1
    """Trainings of each trial that differ in their seed alone; their mean counts."""
    fresh_seeds: int = 2
    """Seeds that the winner is trained with anew before it is called best: the best of many is so by luck,
    too. 0: it is not."""
    track: str = "wandb"
    """Where metrics, tables and pictures go besides the folder: wandb (Weights & Biases), tensorboard, or
    both with a comma between them."""
    wandb: WandbMode = "auto"
    """Weights & Biases; auto: as WANDB_MODE says, else online if you are logged in, else offline."""
    ray: RayAddress = None
    """Train on the machines of a Ray cluster instead: host:port, ray://host:port, auto (one that this machine
    belongs to) or local (one of this machine, started and ended with the command). A trial whose machine dies
    starts again, with the same numbers."""
    labels: Annotated[Labels, tyro.conf.arg(name="")] = field(
        default_factory=lambda: Labels(wandb_media=False)
    )
    """How the runs are labelled there."""

    def validate(self) -> None:
        """Raise SnakegymError for the first option whose value is impossible."""
        tracker_names(self.track)
        counts = {"trials": self.trials, "workers": self.workers, "seeds_per_trial": self.seeds_per_trial}
        at_least_one(**{name: value for name, value in counts.items() if value is not None})
        not_negative(seed=self.seed, fresh_seeds=self.fresh_seeds)
