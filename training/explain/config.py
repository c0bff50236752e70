"""What `snakegym explain` can be asked. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from snakegym.errors import SnakegymError
from snakegym.scenario import Split
from snakegym.training.options import (
    Folder,
    Text,
    at_least_one,
    not_negative,
    printable,
    said_once,
)


@dataclass(frozen=True)
class ExplainConfig:
    """Show what moves a policy's choice, and where it differs from a planner.

    The policy plays; at each of its decisions the planner is asked what it would do. Features of what was
    seen are then permuted, one by one, to find out which of them the choice depends on. Leaves one HTML page,
    explain.json and pictures in the output folder.
    """

    run: tyro.conf.Positional[tuple[str, ...]]
    """Folders of training runs. Those that differ in the seed alone are one policy with several training
    seeds. Of a registered scheduler, where it differs is shown, and no features."""
    out: Path
    """Output folder; new, empty, or of the same explanation."""
    scenario: str = "default"
    """Name of a scenario (see `snakegym scenarios`), or a .yaml file."""
    set: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """FIELD=VALUE: a field of the scenario that is to be different, as in `snakegym train`."""
    split: Split = "validation"
    """Which traces: train, validation or test."""
    baseline: str = "milp"
    """Whom the policy is compared with: whatever else can be scheduled with."""
    episodes: int = 5
    """Episodes for each run."""
    seed: int = 0
    """Seeds the episodes, which are those of `snakegym evaluate`, and the permutations."""
    repetitions: int = 5
    """Permutations of each feature."""
    states: int = 300
    """Decisions of each run in which features are permuted, at most, evenly over all that were recorded."""
    traces: Folder = None
    """Folder with traces of your own, in any known format, instead of the scenario's (`snakegym traces`)."""
    skip_bad_traces: bool = False
    """Go on without the files in it that cannot be used, after naming them."""
    trace_format: Text = None
    """Which format its files are of, or formats, parted by | (`snakegym traces inspect --help`)."""

    def validate(self) -> None:
        """Raise SnakegymError for the first option whose value is impossible."""
        at_least_one(episodes=self.episodes, repetitions=self.repetitions, states=self.states)
        not_negative(seed=self.seed)
        if not self.run:
            raise SnakegymError("RUN: found none, expected the folder of one training run at least")
        said_once("run", self.run)
        printable("run", (*self.run, self.baseline))
        if self.baseline in self.run:
            raise SnakegymError(
                f"--baseline: found '{self.baseline}', which is to be explained; expected another scheduler"
            )
