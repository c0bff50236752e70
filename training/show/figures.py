"""Figures without global state, colours for all eyes: what all pictures have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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


def save(figure: Figure, path: Path) -> None:
    """Write a PNG in one step, every text in it as it is."""
    without_formulas(figure)
    with replacing(path) as temporary:
        # Without the metadata that says which version drew it, the same figure is the same file.
        figure.savefig(temporary, dpi=140, bbox_inches="tight", metadata={"Software": None})


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
