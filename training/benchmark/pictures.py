"""The pictures of a benchmark: scores of all scenarios, and their performance profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from snakegym.training.analysis.intervals import Estimate
from snakegym.training.analysis.scores import Overall, Standing
from snakegym.training.show.figures import PALETTE, literal, new_figure
from snakegym.training.show.summary_plots import bands

COLUMNS = 3


def scores(labels: Sequence[str], standings: Mapping[str, Standing], total: Overall) -> Figure:
    """Scores with their intervals, a panel for all scenarios together and one for each."""
    panels = {name: s.scores for name, s in standings.items() if s.scores}
    if len(panels) > 1:
        panels = {"all": total.scores, **panels}
    figure, axes = new_figure(len(panels), 0.9 + 0.24 * len(labels), min(COLUMNS, len(panels)))
    for ax, (name, values) in zip(axes, panels.items(), strict=False):
        _panel(ax, name, labels, values)
    for i, ax in enumerate(axes):
        ax.set_visible(i < len(panels))
        if i % COLUMNS:
            ax.tick_params(labelleft=False)
    return figure


def profiles(total: Overall, references: tuple[str, str]) -> Figure:
    """The share of episodes that reach a score, over the score: the mean of the scenarios' profiles."""
    figure, (ax,) = new_figure(1, height=3.8)
    bands(figure, ax, total.thresholds, list(total.profiles), list(total.profiles.values()))
    ax.set(
        xlabel=f"Score of at least (0: {literal(references[0])}, 1: {literal(references[1])})",
        ylabel="Share of episodes",
        xlim=total.thresholds[[0, -1]],
    )
    return figure


def _panel(ax: Axes, name: str, labels: Sequence[str], values: Mapping[str, Estimate]) -> None:
    for i, label in enumerate(labels):
        if label not in values:
            continue
        e, colour = values[label], PALETTE[i % len(PALETTE)]
        ax.plot([e.value], [i], "o", color=colour, ms=5)
        if e.low is not None and e.high is not None:
            ax.plot([e.low, e.high], [i, i], color=colour, lw=2.5, alpha=0.7, solid_capstyle="butt")
    for reference in (0, 1):
        ax.axvline(reference, color="#888888", lw=0.8, zorder=0)
    ax.set(yticks=range(len(labels)), yticklabels=[literal(label) for label in labels])
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.set_title(literal(name), fontsize=9, loc="left")
