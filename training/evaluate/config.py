"""What `snakegym evaluate` can be asked. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from snakegym.errors import SnakegymError
from snakegym.scenario import LayerOrder, Split
from snakegym.training.options import Folder, Int, at_least_one, not_negative


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
    layer_order: LayerOrder | None = None
    """Who chooses the layer: free (the scheduler) or a fixed order; default: as the scenario says."""
    jobs: Int = None
    """Processes that play episodes; results do not depend on it. Default: one for 2 cores, at most 4."""

    def validate(self) -> None:
        """Raise SnakegymError for the first option whose value is impossible."""
        at_least_one(episodes=self.episodes, jobs=1 if self.jobs is None else self.jobs)
        not_negative(seed=self.seed)
        if not self.scheduler:
            raise SnakegymError("--scheduler: found none, expected one at least")
        twice = sorted({s for s in self.scheduler if self.scheduler.count(s) > 1})
        if twice:
            raise SnakegymError(f"--scheduler: found {', '.join(twice)} twice, expected each once")
