"""What `snakegym scenarios` can be asked. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass

import tyro

from snakegym.scenario import Split
from snakegym.training.options import Folder, Text, at_least_one, not_negative


@dataclass(frozen=True)
class ListScenarios:
    """List the scenarios that ship with snakegym, one line each."""


@dataclass(frozen=True)
class CheckScenario:
    """Measure whether a scenario is worth solving.

    Plays fixed rules, tries many hops from the same states, and compares with what the scenario
    file says about itself.
    """

    name: tyro.conf.Positional[str] = "default"
    """Name of a scenario, or a .yaml file."""
    episodes: int = 10
    """Episodes for each rule."""
    seed: int = 0
    """Seeds the episodes."""
    split: Split = "train"
    """Which traces: train, validation or test."""
    traces: Folder = None
    """Folder with traces of your own, in any known format, instead of the scenario's (`snakegym traces`)."""
    skip_bad_traces: bool = False
    """Go on without the files in it that cannot be used, after naming them."""
    trace_format: Text = None
    """Which format its files are of, or formats, parted by | (`snakegym traces inspect --help`)."""

    def validate(self) -> None:
        """Raise SnakegymError for the first option whose value is impossible."""
        at_least_one(episodes=self.episodes)
        not_negative(seed=self.seed)


@dataclass(frozen=True)
class ShowScenario:
    """Print all settings of a scenario as YAML, defaults filled in: a start for your own."""

    name: tyro.conf.Positional[str] = "default"
    """Name of a scenario, or a .yaml file."""
