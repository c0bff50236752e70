"""What can be asked of `snakegym traces`: one documented dataclass a command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from snakegym.errors import SnakegymError
from snakegym.scenario import Split
from snakegym.training.options import Int, Text, above_zero, at_least_one, not_negative


@dataclass(frozen=True)
class Traces:
    """List, inspect, convert, plot and generate traces (`snakegym traces --help`)."""

    def validate(self) -> None:
        """Raise SnakegymError for the first option whose value is impossible."""


@dataclass(frozen=True)
class FolderCommand(Traces):
    """What all commands on a folder of traces take."""

    folder: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="FOLDER")]]
    """Folder with trace files of any known format; or with such folders called link and compute."""
    match: str = "*"
    """Only traces whose name or path matches; several patterns are parted by |."""
    format: Text = None
    """Which format the files are of, or formats, parted by |; default: each says so itself. tidy, mahimahi,
    irish-5g, norway-3g, lumos5g, mn-wild, pensieve, planetlab, utilisation or csv-units."""


@dataclass(frozen=True)
class Rules:
    """How recordings become traces."""

    gap_s: float = 10.0
    """A link that is silent for longer than this beyond its usual step was out."""
    missing_direction: Literal["ratio", "same", "refuse"] = "ratio"
    """The direction that was not measured: uplink = ratio x downlink, the same, or refuse the trace."""
    uplink_ratio: float = 0.25
    """That ratio."""


@dataclass(frozen=True)
class ListTraces(FolderCommand):
    """List the traces in a folder, with the split of each."""

    split: Split | None = None
    """Only those of this split."""


@dataclass(frozen=True)
class InspectTraces(Rules, FolderCommand):
    """Say what is in a folder of traces, by source and scenario, and what would be refused and why."""

    def validate(self) -> None:
        """Raise SnakegymError for the first option whose value is impossible."""
        above_zero(gap_s=self.gap_s, uplink_ratio=self.uplink_ratio)


@dataclass(frozen=True)
class ConvertTraces(FolderCommand):
    """Write the traces of a folder as tidy CSV, as measured: nothing is mended or filled in.

    Splits go by the content of files, so the files written may fall into other splits.
    """

    out: Path = Path("converted")
    """Folder to write link/*.csv and compute/*.csv to; new or empty."""
    skip_bad_traces: bool = False
    """Go on without the files that cannot be read."""


@dataclass(frozen=True)
class PlotTraces(Rules, FolderCommand):
    """Draw traces: up to six over time, more as a distribution for each source and scenario."""

    out: Path = Path("traces.png")
    """PNG to write; an existing one is replaced."""

    def validate(self) -> None:
        """Raise SnakegymError for the first option whose value is impossible."""
        above_zero(gap_s=self.gap_s, uplink_ratio=self.uplink_ratio)
        if self.out.suffix.lower() != ".png":
            raise SnakegymError(f"--out: found {self.out}, expected the name of a .png file")


@dataclass(frozen=True)
class GenerateTraces(Traces):
    """Write the traces of the built-in generator as tidy CSV, to look at or to start from."""

    out: Path
    """Folder to write link/*.csv and compute/*.csv to; new or empty."""
    scenario: str = "default"
    """Whose settings of the generator to use."""
    links: Int = None
    """Number of link traces; default: as the scenario says."""
    computes: Int = None
    """Number of compute traces; default: as the scenario says."""
    seed: Int = None
    """Seed of the generator; default: as the scenario says."""

    def validate(self) -> None:
        """Raise SnakegymError for the first option whose value is impossible."""
        at_least_one(**{k: v for k in ("links", "computes") if (v := getattr(self, k)) is not None})
        not_negative(seed=self.seed or 0)


ParsedTraces = (
    Annotated[ListTraces, tyro.conf.subcommand("list")]
    | Annotated[InspectTraces, tyro.conf.subcommand("inspect")]
    | Annotated[ConvertTraces, tyro.conf.subcommand("convert")]
    | Annotated[PlotTraces, tyro.conf.subcommand("plot")]
    | Annotated[GenerateTraces, tyro.conf.subcommand("generate")]
)
