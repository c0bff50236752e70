"""Pictures that compare schedulers as a whole: profiles, accuracy against costs, time to a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from snakegym.training.analysis.groups import Groups, table
from snakegym.training.analysis.intervals import Band, Estimate, profile
from snakegym.training.analysis.spread import Floats
from snakegym.training.analysis.statistics import front
from snakegym.training.analysis.targets import reach_times
from snakegym.training.show.evaluation import COSTS
from snakegym.training.show.figures import DASHES, colour_of, literal, new_figure, time_axis, variant_of
from snakegym.training.show.tables import Column

POINTS = 240
MARKERS = "osD^vP*X"


def profiles(groups: Groups, metric: str = "accuracy") -> Figure:
    """Performance profiles: the share of episodes that end with at least this return or accuracy.

    `metric` is what accuracies are called.
    """
    figure, axes = new_figure(2, height=3.4)
    for ax, measure, label in zip(
        axes, ("total_reward", "test_accuracy"), ("Return", f"Test {metric}"), strict=True
    ):
        tables = [table(runs, measure) for runs in groups.values()]
        ends = min(t.min() for t in tables), max(t.max() for t in tables)
        margin = 0.02 * (ends[1] - ends[0]) or 0.01
        thresholds = np.linspace(ends[0] - margin, ends[1] + margin, POINTS)
        _draw_bands(ax, thresholds, list(groups), [profile(t, thresholds) for t in tables])
        ax.set(xlabel=f"{label} of at least", ylabel="Share of episodes", xlim=thresholds[[0, -1]])
    axes[1].xaxis.set_major_locator(MaxNLocator(nbins=6))
    axes[1].xaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    _legend(figure, axes[0])
    return figure


def reached(groups: Groups, target: float, budget_s: float) -> Figure:
    """The share of episodes that have reached the target, over simulated time."""
    figure, (ax,) = new_figure(1, height=3.4)
    unit, label = time_axis(budget_s)
    times = np.linspace(0, budget_s, POINTS)
    shares = [profile(-reach_times(runs, target, budget_s), -times) for runs in groups.values()]
    bands(figure, ax, times / unit, list(groups), shares)
    ax.set(
        xlabel=label,
        ylabel=f"Episodes that reached {target:.0%}",
        xlim=(0, budget_s / unit),
    )
    return figure


def fronts(
    summary: Mapping[str, Mapping[str, Estimate]], columns: Sequence[Column], metric: str = "accuracy"
) -> Figure:
    """Test accuracy against each cost, interquartile means with intervals; the best trade-offs joined.

    Args:
        summary: of every scheduler.
        columns: how the measures are printed, those of COSTS among them.
        metric: what accuracies are called.
    """
    figure, axes = new_figure(len(COSTS), height=3.6)
    accuracies = np.array([m["test_accuracy"].value for m in summary.values()])
    for ax, column in zip(axes, (c for c in columns if c.key in COSTS), strict=True):
        costs = np.array([m[column.key].value for m in summary.values()]) * column.factor
        best = front(costs, accuracies)
        order = np.argsort(costs[best])
        ax.plot(costs[best][order], accuracies[best][order], color="#888888", lw=1, drawstyle="steps-post")
        for i, (label, measures) in enumerate(summary.items()):
            x, y = costs[i], accuracies[i]
            colour = colour_of(i)
            ax.errorbar(
                x,
                y,
                xerr=_reach(measures[column.key], column.factor),
                yerr=_reach(measures["test_accuracy"], 1),
                fmt=variant_of(i, MARKERS),
                color=colour,
                mfc=colour if best[i] else "white",
                ms=7,
                elinewidth=1,
                label=literal(label),
            )
        name, _, unit = column.title.partition("\n")
        ax.set(xlabel=f"{name} [{unit}]")
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    axes[0].set_ylabel(f"Test {metric}")
    _legend(figure, axes[0])
    return figure


def bands(figure: Figure, ax: Axes, x: Floats, labels: Sequence[str], curves: Sequence[Band]) -> None:
    """Draw shares in [0, 1] over `x` [points], a curve with its band for each label, and a legend below."""
    _draw_bands(ax, x, labels, curves)
    _legend(figure, ax)


def _draw_bands(ax: Axes, x: Floats, labels: Sequence[str], curves: Sequence[Band]) -> None:
    for i, (label, band) in enumerate(zip(labels, curves, strict=True)):
        colour = colour_of(i)
        ax.plot(
            x, band.value, color=colour, ls=variant_of(i, DASHES), drawstyle="steps-mid", label=literal(label)
        )
        if band.low is not None and band.high is not None:
            ax.fill_between(x, band.low, band.high, color=colour, alpha=0.12, lw=0, step="mid")
    ax.set_ylim(-0.03, 1.03)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))


def _reach(e: Estimate, factor: float) -> Floats | None:
    """How far the interval goes to both sides, as matplotlib wants it."""
    if e.low is None or e.high is None:
        return None
    # The value of few episodes may lie a rounding error outside.
    return np.maximum(0, [[(e.value - e.low) * factor], [(e.high - e.value) * factor]])


def _legend(figure: Figure, ax: Axes) -> None:
    handles, labels = ax.get_legend_handles_labels()
    columns = max(1, int(14 * figure.get_figwidth() / (max(map(len, labels)) + 8)))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=8)
