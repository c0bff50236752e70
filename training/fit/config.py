"""What `snakegym fit` can be asked. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass

import tyro

from snakegym.errors import SnakegymError
from snakegym.training.options import Folder, Text, at_least_one, not_negative

LEAST_EPISODES = 5
"""One in five is held out."""


@dataclass(frozen=True)
class FitConfig:
    """Fit what planners expect of hops to a scenario.

    Plays episodes on training traces, at random, greedily and greedily by what was learned so far, records
    what every hop brought, and fits a small network to it. Prints its errors on episodes that were held out.
    Leaves one JSON file: for a scenario file of your own beside it (`mine.yaml`: `mine.fitted.json`), where
    it is found from then on; for a scenario that ships with snakegym in the package. Repeat a command that
    was interrupted to go on where it stopped.
    """

    name: tyro.conf.Positional[str]
    """Name of a scenario, a .yaml file, or `all` for all that ship and have no file that belongs to them."""
    out: Text = None
    """Another file to write."""
    episodes: int = 200
    """Training episodes to record."""
    seed: int = 0
    """Seeds episodes, decisions and fit."""
    picture: Text = None
    """PNG file for a picture of gains as expected and measured."""
    again: bool = False
    """With `all`: fit those that have their file as well."""
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
        if self.episodes < LEAST_EPISODES:
            raise SnakegymError(
                f"--episodes: found {self.episodes}, expected {LEAST_EPISODES} or more: one of five "
                "is held out"
            )
        for option, value in (("--out", self.out), ("--picture", self.picture)):
            if self.name == "all" and value is not None:
                raise SnakegymError(f"{option}: found {value} with all scenarios, expected a single one")
