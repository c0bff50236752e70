"""The pictures of a benchmark: scores of all scenarios, and their performance profiles."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from snakegym.training.analysis.intervals import Estimate
from snakegym.training.benchmark.scenes import BenchmarkResult
from snakegym.training.show.figures import colour_of, literal, new_figure
from snakegym.training.show.summary_plots import bands

COLUMNS = 3


def scores(result: BenchmarkResult) -> Figure:
    """Scores with their intervals, a panel for all scenarios together and one for each."""
    panels = {name: s.scores for name, s in result.standings.items() if s.scores}
    if len(panels) > 1:
        panels = {"all": result.overall.scores, **panels}
    colours = {label: colour_of(i) for i, label in enumerate(result.labels)}
    ranked = {label: colours[label] for label in result.ranking}
    figure, axes = new_figure(len(panels), 0.9 + 0.24 * len(ranked), min(COLUMNS, len(panels)))
    for ax, (name, values) in zip(axes, panels.items(), strict=False):
        _panel(ax, name, ranked, values)
    for i, ax in enumerate(axes):
        ax.set_visible(i < len(panels))
        if i % COLUMNS:
            ax.tick_params(labelleft=False)
        if i >= len(panels) - COLUMNS:
            ax.set_xlabel("Score")
    return figure


def profiles(result: BenchmarkResult) -> Figure:
    """The share of episodes that reach a score, over the score: the mean of the scenarios' profiles."""
    figure, (ax,) = new_figure(1, height=3.8)
    total, references = result.overall, result.references
    bands(figure, ax, total.thresholds, list(total.profiles), list(total.profiles.values()))
    ax.set(
        xlabel=f"Score of at least (0: {literal(references[0])}, 1: {literal(references[1])})",
        ylabel="Share of episodes",
        xlim=total.thresholds[[0, -1]],
    )
    return figure


def _panel(ax: Axes, name: str, colours: Mapping[str, str], values: Mapping[str, Estimate]) -> None:
    labels = list(colours)
    for label, e in values.items():
        i, colour = labels.index(label), colours[label]
        ax.plot([e.value], [i], "o", color=colour, ms=5)
        if e.low is not None and e.high is not None:
            ax.plot([e.low, e.high], [i, i], color=colour, lw=2.5, alpha=0.7, solid_capstyle="butt")
    for reference in (0, 1):
        ax.axvline(reference, color="#888888", lw=0.8, zorder=0)
    ax.set(yticks=range(len(labels)), yticklabels=[literal(label) for label in labels])
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.set_title(literal(name), fontsize=9, loc="left")
