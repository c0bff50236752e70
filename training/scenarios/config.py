"""What `snakegym scenarios` can be asked. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from snakegym.errors import SnakegymError
from snakegym.files import is_folder
from snakegym.training.options import Folder, Text, at_least_one, not_negative, said_default


@dataclass(frozen=True)
class ListScenarios:
    """List the scenarios that ship with snakegym, one line each."""


@dataclass(frozen=True)
class CheckScenario:
    """Measure whether scenarios are worth solving; exits with 1 where one is not.

    Plays fixed rules, tries many hops from the same states, trains the model where all data lie together, and
    compares with what the scenario file says about itself.
    """

    names: tyro.conf.Positional[tuple[str, ...]] = ("default",)
    """Names of scenarios, or .yaml files; `all`: those that ship with snakegym."""
    episodes: int = 10
    """Episodes for each rule."""
    states: int = 24
    """From which all hops are tried. Few of them say little: the layers' share of four states is 15 to 70 %
    where that of many is 45 %."""
    seed: int = 0
    """Seeds the episodes."""
    split: Literal["train", "validation"] = "train"
    """Which traces: train or validation. Test traces are not there to make a scenario with."""
    markdown: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint=said_default)] = None
    """Write a table of all of them to this file."""
    traces: Folder = None
    """Folder with traces of your own, in any known format, instead of the scenario's (`snakegym traces`)."""
    skip_bad_traces: bool = False
    """Go on without the files in it that cannot be used, after naming them."""
    trace_format: Text = None
    """Which format its files are of, or formats, parted by | (`snakegym traces inspect --help`)."""

    def validate(self) -> None:
        """Raise SnakegymError for the first option whose value is impossible."""
        if not self.names:
            raise SnakegymError("scenarios check: found no name, expected a scenario, a .yaml file, or all")
        at_least_one(episodes=self.episodes, states=self.states)
        not_negative(seed=self.seed)
        if self.split not in ("train", "validation"):
            raise SnakegymError(f"--split: found '{self.split}', expected train or validation")
        if self.markdown is not None and not is_folder(self.markdown.absolute().parent):
            raise SnakegymError(
                f"--markdown: found no folder '{self.markdown.parent}', expected one to write into"
            )


@dataclass(frozen=True)
class ShowScenario:
    """Print all settings of a scenario as YAML, defaults filled in: a start for your own."""

    name: tyro.conf.Positional[str] = "default"
    """Name of a scenario, or a .yaml file."""
