"""What `snakegym play` can be asked. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import tyro

from snakegym.errors import SnakegymError
from snakegym.scenario import LayerOrder, Split
from snakegym.training.options import Folder, Text, above_zero, not_negative

FILM_SUFFIXES = (".gif", ".mp4")


@dataclass(frozen=True)
class PlayConfig:
    """Show one episode as a moving picture: the network, the snake's path, the layers.

    A frame a decision. It is the first episode that `snakegym evaluate` with the same scenario,
    split and seed plays.
    """

    scenario: tyro.conf.Positional[str] = "default"
    """Name of a scenario (see `snakegym scenarios`), or a .yaml file."""
    scheduler: str = "greedy"
    """Who decides: a registered scheduler, the folder of a training run, or one of your own."""
    seed: int = 0
    """Seeds the episode."""
    split: Split = "test"
    """Which traces: train, validation or test."""
    out: Path = Path("episode.gif")
    """File to write: .gif, or .mp4 (which needs the extra `snakegym[video]`)."""
    model: Path | None = None
    """Folder to write the language model to that comes out, for transformers (and peft) to load."""
    overwrite: bool = False
    """Replace the file if it is there already."""
    fps: float = 2.0
    """Frames a second."""
    traces: Folder = None
    """Folder with traces of your own, in any known format, instead of the scenario's (`snakegym traces`)."""
    skip_bad_traces: bool = False
    """Go on without the files in it that cannot be used, after naming them."""
    trace_format: Text = None
    """Which format its files are of, or formats, parted by | (`snakegym traces inspect --help`)."""
    layer_order: LayerOrder | None = None
    """Who chooses the layer: free (the scheduler) or a fixed order; default: as the scenario says."""

    def validate(self) -> None:
        """Raise SnakegymError for the first option whose value is impossible."""
        not_negative(seed=self.seed)
        above_zero(fps=self.fps)
        suffix = self.out.suffix.lower()
        if suffix not in FILM_SUFFIXES:
            raise SnakegymError(f"--out: found {self.out}, expected a file that ends in .gif or .mp4")
        if suffix == ".mp4" and find_spec("imageio_ffmpeg") is None:
            raise SnakegymError(
                f"--out: found {self.out}, but no encoder for .mp4: expected a .gif, or the extra that "
                "brings one: pip install 'snakegym[video]'"
            )
        if self.out.is_dir():
            raise SnakegymError(f"--out: found a folder, {self.out}, expected the name of a file")
        if self.out.exists() and not self.overwrite:
            raise SnakegymError(
                f"--out: {self.out} is there already: choose another name, or add --overwrite"
            )
