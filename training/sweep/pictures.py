"""The pictures of a sweep: what mattered, and every trial as a line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from snakegym.training.show.figures import PALETTE, literal, new_figure
from snakegym.training.sweep.parameters import Parameter

TICKS = 6


def importance(shares: Mapping[str, float], metric: str) -> Figure:
    """Bars: the share of the variance of the metric that each parameter accounts for."""
    figure, (ax,) = new_figure(1, height=max(2.0, 1.0 + 0.35 * len(shares)))
    names = list(shares)
    ax.barh(range(len(names)), [shares[name] for name in names], color=PALETTE[0], height=0.6)
    ax.set(yticks=range(len(names)), yticklabels=[literal(name) for name in names], xlim=(0, 1))
    ax.set_xlabel(literal(f"Share of the variance of {metric} (fANOVA)"))
    if not names:
        ax.set_title("Too few trials, or all alike, to tell", fontsize=9)
    ax.invert_yaxis()
    return figure


def parallel(
    parameters: Sequence[Parameter],
    settings: Sequence[Mapping[str, Any]],
    values: Sequence[float],
    metric: str,
    best: int | None,
) -> Figure:
    """A line a trial over an axis a parameter, coloured by the metric; the best is thick.

    Args:
        parameters: axes, from the left.
        settings: of each trial.
        values: of the metric.
        metric: its name.
        best: index of the best trial.
    """
    figure, (ax,) = new_figure(1, height=3.6, width=max(6.0, 1.6 * (len(parameters) + 1)))
    axes = [_Axis(p.name, [s[p.name] for s in settings], p.kind == "logarithmic") for p in parameters]
    axes.append(_Axis(metric, list(values), False))
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    norm, colours = Normalize(low, high if high > low else low + 1), colormaps["viridis"]
    places = np.arange(len(axes))
    order = sorted(range(len(values)), key=lambda i: i == best)
    for i in order:
        heights = [axis.heights[i] for axis in axes]
        ax.plot(
            places,
            heights,
            color=colours(norm(values[i])),
            lw=3 if i == best else 1,
            alpha=1 if i == best else 0.7,
        )
    for place, axis in enumerate(axes):
        ax.axvline(place, color="black", lw=0.8)
        for height, text in axis.ticks:
            ax.annotate(literal(text), (place, height), xytext=(3, 0), textcoords="offset points", fontsize=7)
    ax.set(xticks=places, xticklabels=[literal(axis.name) for axis in axes], yticks=[], ylim=(-0.05, 1.05))
    ax.tick_params(axis="x", labelrotation=20, labelsize=8)
    ax.grid(False)
    return figure


MOST_NAMED = 3
"""Trials beside one mark."""
COSTS = {"time_s": "Simulated seconds", "energy_j": "Joules", "n_bytes": "Bytes"}


def front(measures: Mapping[int, Mapping[str, float]]) -> Figure:
    """Accuracy against each cost: a mark a trial, those that no other beats in both on a line.

    Args:
        measures: accuracy and costs of each trial, by its number.
    """
    figure, axes = new_figure(len(COSTS), height=3.2)
    for ax, (cost, label) in zip(axes, COSTS.items(), strict=True):
        points = {n: (m[cost], m["accuracy"]) for n, m in measures.items() if {cost, "accuracy"} <= m.keys()}
        best = [n for n in points if not any(_beats(other, points[n]) for other in points.values())]
        line = sorted({points[n] for n in best})
        ax.plot(*zip(*line, strict=True) if line else ([], []), color=PALETTE[7], lw=1)
        for x, y in dict.fromkeys(points.values()):
            there = [n for n, point in points.items() if point == (x, y)]
            ax.plot(x, y, "o", color=PALETTE[0], mfc=PALETTE[0] if there[0] in best else "white", ms=5)
            ax.annotate(_listed(there), (x, y), xytext=(3, 3), textcoords="offset points", fontsize=7)
        ax.set(xlabel=f"{label} an episode", ylabel="Validation accuracy" if ax is axes[0] else "")
    return figure


def _listed(trials: Sequence[int]) -> str:
    """Names of the trials at one place: policies that choose alike come to the very same."""
    more = len(trials) - MOST_NAMED
    return ", ".join(map(str, trials[:MOST_NAMED])) + (f" and {more} more" if more > 0 else "")


def _beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether it costs at most as much, is at least as accurate, and is not the same."""
    return one != other and one[0] <= other[0] and one[1] >= other[1]


class _Axis:
    """Heights in [0, 1] of one parameter's values, and what stands beside them."""

    def __init__(self, name: str, values: Sequence[Any], logarithmic: bool) -> None:
        self.name = name
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        if not numbers:
            labels = list(dict.fromkeys(map(str, values)))
            height = {label: i / max(1, len(labels) - 1) for i, label in enumerate(labels)}
            self.heights = [height[str(v)] for v in values]
            self.ticks = [(height[label], label) for label in labels[:: max(1, len(labels) // TICKS)]]
            return
        scaled = [math.log(v) if logarithmic else float(v) for v in values]
        low, high = min(scaled, default=0.0), max(scaled, default=1.0)
        span = (high - low) or 1.0
        self.heights = [(v - low) / span for v in scaled]
        marks = sorted(set(scaled)) if len(set(scaled)) <= TICKS else np.linspace(low, high, TICKS)
        self.ticks = [(float((m - low) / span), f"{math.exp(m) if logarithmic else m:.3g}") for m in marks]
