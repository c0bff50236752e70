"""Pictures of training and evaluation: figures without global state, colours for all eyes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter
from numpy.typing import NDArray

from snakegym.training.analysis.intervals import Estimate, describe
from snakegym.training.episodes.play import EpisodeRecord
from snakegym.training.show.figures import (
    DASHES,
    PALETTE,
    SOME_S,
    colour_of,
    legend_right,
    literal,
    new_figure,
    time_axis,
    variant_of,
)

COSTS = {"time": "#0072B2", "energy": "#E69F00", "bytes": "#009E73", "illegal": "#D55E00"}
GRID = 200
"""Points of the common time axis."""

Records = Mapping[str, Sequence[EpisodeRecord]]
"""Per scheduler its episodes."""
Row = Mapping[str, float]
"""Of a learning curve: column to value."""


def learning_curve(curve: Sequence[Row], best_timesteps: int, metric: str = "accuracy") -> Figure:
    """Return and accuracy over the steps of training; the best model on validation traces is marked.

    `metric` is what accuracies are called.
    """
    figure, axes = new_figure(2, height=3.2)
    for ax, column, label in zip(
        axes, ("return", "accuracy"), ("Return", f"Validation {metric}"), strict=True
    ):
        train = _series(curve, f"train_{column}")
        held_out = _series(curve, f"validation_{column}")
        ax.plot(*train, color=PALETTE[7], lw=1, label="training traces, exploring")
        ax.plot(*held_out, color=PALETTE[0], marker="o", ms=4, label="validation traces, most likely action")
        best = [y for x, y in zip(*held_out, strict=True) if x == best_timesteps]
        if best:
            ax.plot(best_timesteps, best[-1], "*", color=PALETTE[1], ms=14, label="best model, kept")
        ax.set(xlabel="Environment steps", ylabel=label)
        ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v / 1000:g}k" if v else "0"))
    axes[1].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    _legend_below(figure, *axes[0].get_legend_handles_labels())
    return figure


def accuracy_over_time(records: Records, metric: str = "accuracy") -> Figure:
    """Median validation accuracy (called `metric`) over simulated time, with the band of the middle half."""
    figure, (ax,) = new_figure(1)
    end = max(r["time_s"] for episodes in records.values() for r in episodes) or SOME_S
    unit, label_of_time = time_axis(end)
    grid = np.linspace(0, end, GRID)
    for i, (label, episodes) in enumerate(records.items()):
        curves = np.stack([_accuracy_at(r, grid) for r in episodes])
        low, middle, high = np.quantile(curves, (0.25, 0.5, 0.75), axis=0)
        colour = colour_of(i)
        ax.plot(grid / unit, middle, color=colour, ls=variant_of(i, DASHES), label=literal(label))
        ax.fill_between(grid / unit, low, high, color=colour, alpha=0.15, lw=0)
    ax.set(xlabel=label_of_time, ylabel=f"Validation {metric}", xlim=(0, end / unit))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_title(
        "Median and middle half of the episodes; an episode that is over keeps its last value", fontsize=9
    )
    legend_right(ax)
    return figure


def cost_breakdown(records: Records) -> Figure:
    """What the gain in accuracy cost, as the reward counts it: mean terms per episode."""
    figure, (ax,) = new_figure(1, height=max(2.2, 1.2 + 0.45 * len(records)))
    places = np.arange(len(records))
    left = np.zeros(len(records))
    for term, colour in COSTS.items():
        width = np.array([-np.mean([r["rewards"][term] for r in episodes]) for episodes in records.values()])
        if width.any():
            ax.barh(
                places, width, left=left, color=colour, height=0.6, label=f"cost of {term}", edgecolor="white"
            )
        left += width
    gains = [np.mean([r["rewards"]["gain"] for r in episodes]) for episodes in records.values()]
    ax.plot(gains, places, "D", color="black", ms=5, label="gain (return = gain - costs)")
    ax.set(
        xlabel="Reward units, mean per episode",
        yticks=places,
        yticklabels=[literal(label) for label in records],
    )
    ax.invert_yaxis()
    ax.axvline(0, color="black", lw=0.8)
    legend_right(ax)
    return figure


def returns(records: Records, estimates: Mapping[str, Estimate]) -> Figure:
    """Every episode's return, with interquartile mean and interval."""
    figure, (ax,) = new_figure(1, height=max(2.2, 1.2 + 0.45 * len(records)))
    for i, (label, episodes) in enumerate(records.items()):
        colour = colour_of(i)
        values = [r["total_reward"] for r in episodes]
        # Spread over the height in episode order: no randomness, and the same episode at the same height.
        heights = i + np.linspace(-0.25, 0.25, len(values))
        ax.plot(values, heights, "o", color=colour, ms=4.5, alpha=0.45, mew=0)
        e = estimates[label]
        ax.plot([e.value], [i], "|", color=colour, ms=18, mew=2.5)
        if e.low is not None and e.high is not None:
            ax.plot([e.low, e.high], [i, i], color=colour, lw=4, alpha=0.8, solid_capstyle="butt")
    ax.set(xlabel="Return", yticks=range(len(records)), yticklabels=[literal(label) for label in records])
    ax.set_title(f"Dots: episodes; mark: interquartile mean; bar: {describe(estimates.values())}", fontsize=9)
    ax.invert_yaxis()
    return figure


def _accuracy_at(record: EpisodeRecord, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Accuracy as a step function: a hop's counts from its end, the last one for ever."""
    ends = [h["start_s"] + h["receive_s"] + h["compute_s"] + h["send_s"] for h in record["trace"]]
    values = np.array([record["initial_accuracy"], *(h["metric"] for h in record["trace"])])
    # A hair of tolerance: the last hop's end and the episode's differ by rounding.
    result: NDArray[np.float64] = values[np.searchsorted(np.asarray(ends), times + 1e-6, side="right")]
    return result


def _series(curve: Sequence[Row], column: str) -> tuple[list[float], list[float]]:
    points = [(row["timesteps"], row[column]) for row in curve if column in row]
    return [float(x) for x, _ in points], [float(y) for _, y in points]


def _legend_below(figure: Figure, handles: Sequence[Artist], labels: Sequence[str]) -> None:
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
