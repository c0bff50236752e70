"""Figures without global state, colours for all eyes: what all pictures have in common."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, FuncFormatter

from snakegym.training.runs.folder import replacing

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
"""Okabe and Ito's colours, distinguishable with any kind of colour vision."""
DASHES: tuple[str, ...] = ("-", "--", "-.", ":")
SOME_S = 1.0
"""Length of a time axis on which nothing happens: whoever finishes at once spends no time."""


def colour_of(index: int) -> str:
    """Of the curve of that number, from 0."""
    return PALETTE[index % len(PALETTE)]


def variant_of(index: int, variants: Sequence[str]) -> str:
    """Dashes or a marker of the curve of that number: another one where a colour comes again."""
    return variants[(index + index // len(PALETTE)) % len(variants)]


def save(figure: Figure, path: Path) -> None:
    """Write a PNG in one step, every text in it as it is."""
    with replacing(path) as temporary:
        draw_png(figure, temporary, dpi=140)


def draw_png(figure: Figure, target: Path | BinaryIO, dpi: int) -> None:
    """Draw to a file, every text as it is; the same figure gives the same bytes."""
    without_formulas(figure)
    with warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        # The metadata would say which version drew it.
        figure.savefig(target, format="png", dpi=dpi, bbox_inches="tight", metadata={"Software": None})


def literal(name: str) -> str:
    """A user's name as a label: matplotlib hides those that begin with an underscore."""
    return f" {name}" if name.startswith("_") else name


def without_formulas(figure: Figure) -> None:
    """Draw dollar signs as such: a scheduler is called like its folder, and that like anything.

    What matplotlib itself writes beside an axis (powers of ten) stays a formula.
    """
    own = set()
    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
        if not isinstance(axis.get_major_formatter(), FixedFormatter | FuncFormatter):
            own |= {tick.label1 for tick in axis.get_major_ticks()}
        own |= {tick.label1 for tick in axis.get_minor_ticks()}
    for text in figure.findobj(Text):
        if isinstance(text, Text) and text not in own:
            text.set_parse_math(False)


def time_axis(longest_s: float) -> tuple[float, str]:
    """Seconds in the unit that suits an axis of simulated time, and its label."""
    return (60.0, "Simulated time [min]") if longest_s >= 180 else (1.0, "Simulated time [s]")


def new_figure(
    n_axes: int, height: float = 3.6, columns: int | None = None, width: float | None = None
) -> tuple[Figure, list[Axes]]:
    """An empty figure with `n_axes` axes, heights and width in inches."""
    columns = columns or n_axes
    rows = -(-n_axes // columns)
    figure = Figure(figsize=(width or (7 if n_axes == 1 else 10), height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes: list[Axes] = list(figure.subplots(rows, columns, squeeze=False).flat)
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(True, color="#e5e5e5", lw=0.6)
        ax.set_axisbelow(True)
    return figure, axes


def legend_right(ax: Axes, handles: Sequence[Artist] | None = None) -> None:
    """A legend beside the axes."""
    ax.legend(
        handles=ax.get_legend_handles_labels()[0] if handles is None else handles,
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        frameon=False,
        fontsize=8,
    )
