"""What `snakegym benchmark` can be asked. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from snakegym.errors import SnakegymError
from snakegym.scenario import Split
from snakegym.training.options import (
    Folder,
    Int,
    RayAddress,
    at_least_one,
    not_negative,
    printable,
    said_once,
)

ALL = "all"


@dataclass(frozen=True)
class BenchmarkConfig:
    """Compare schedulers in several scenarios, on the same episodes of each.

    Leaves benchmark.html (one page with everything), benchmark.md (tables), benchmark.json, benchmark.csv and
    pictures in the output folder: the same bytes whenever it is repeated, killed in between or not. Episodes
    that were played are kept there: the same command goes on where it stopped, and with more schedulers,
    scenarios or episodes only what is new is played. How long decisions took depends on the machine, so it
    stands by itself, in the folder latency; how the command was called stands in config.yml and command.txt.
    """

    scheduler: tyro.conf.UseAppendAction[tuple[str, ...]]
    """A registered scheduler, a training run's folder or your own; repeat it. Runs that differ in nothing but
    seed and scenario are one scheduler; NAME=SPEC,SPEC says so and names it. Stars are filled in:
    'ppo=runs/ppo-*'. A run counts in the scenario it was trained on."""
    out: Path
    """Output folder; new, empty, or of the same benchmark."""
    scenario: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """A scenario's name (see `snakegym scenarios`), a .yaml file, or all; repeat it. Default: default."""
    split: Split = "test"
    """Which traces: train, validation or test."""
    episodes: int = 20
    """Episodes of each scenario, for each scheduler and training seed."""
    seed: int = 0
    """Seeds the episodes: episode i of a scenario is the same for every scheduler."""
    traces: Folder = None
    """Folder with traces, for the scenarios that are made for measured ones (else $SNAKEGYM_DATA)."""
    zero: str = "serpentine"
    """The scheduler whose return counts as score 0; it plays, asked for or not."""
    one: str = "clairvoyant"
    """The scheduler whose return counts as score 1; it plays, asked for or not."""
    stochastic: bool = False
    """Learned policies draw their actions, as in training, instead of taking the most likely one; seeded."""
    jobs: Int = None
    """Processes that play episodes; results do not depend on it. Default: one a core, at most 4, and no
    more than there are 20 episodes for each."""
    ray: RayAddress = None
    """Play on the machines of a Ray cluster instead: host:port, ray://host:port, auto (one that this machine
    belongs to) or local (one of this machine, started and ended with the command). Results are the same."""

    def validate(self) -> None:
        """Raise SnakegymError for the first option whose value is impossible."""
        at_least_one(episodes=self.episodes, jobs=1 if self.jobs is None else self.jobs)
        not_negative(seed=self.seed)
        if not self.scheduler:
            raise SnakegymError("--scheduler: found none, expected one at least")
        for option, values in (("scheduler", self.scheduler), ("scenario", self.scenario)):
            said_once(option, values)
            printable(option, values)
        if ALL in self.scenario and len(self.scenario) > 1:
            raise SnakegymError(f"--scenario: found {ALL} and others, expected {ALL}, or each by itself")
        if self.zero == self.one:
            raise SnakegymError(f"--one: found '{self.one}', the same as --zero, expected another scheduler")
