"""What `snakegym experiment` can be asked. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from snakegym.errors import SnakegymError
from snakegym.training.options import at_least_one, not_negative


@dataclass(frozen=True)
class ExperimentConfig:
    """Repeat an experiment of the Snake Learning paper (DOI 10.1109/MCOM.005.2400282).

    `interruption` (its supplementary Fig. 7): the training of one middle layer is interrupted in every
    cycle, and the process goes on with the next node and layer. How much of the accuracy of undisturbed
    training is kept? Digits over the nine nodes of the scenario `default`, IID and Dirichlet, round
    robin over nodes and layers; each seed has its own network, data, partition and initial model, the
    same with and without interruptions. Leaves interruption.json, interruption.png and traces.json. An
    experiment that was interrupted goes on where it stopped when the command is repeated.
    """

    name: tyro.conf.Positional[Literal["interruption"]]
    """Which experiment."""
    out: Path
    """Output folder."""
    seeds: int = 10
    """Repetitions."""
    cycles: int = 5
    """Cycles of training, each over all middle layers."""
    layer: int = 3
    """Middle layer that is interrupted, from 0; 3 is the fifth of the nine layers."""
    seed: int = 0
    """Seeds everything."""

    def validate(self) -> None:
        """Raise SnakegymError for the first option whose value is impossible."""
        at_least_one(cycles=self.cycles, seeds=max(1, self.seeds))
        not_negative(layer=self.layer, seed=self.seed)
        if self.seeds < 2:
            raise SnakegymError(f"--seeds: found {self.seeds}, expected 2 or more for an interval")
