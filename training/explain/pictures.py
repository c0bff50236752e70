"""The pictures of an explanation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from snakegym.control.view import Floats
from snakegym.training.episodes.play import EpisodeRecord
from snakegym.training.explain.disagreement import Disagreement, Shares
from snakegym.training.explain.importance import FEATURES, Part, Weight
from snakegym.training.explain.states import KINDS, Kind
from snakegym.training.explain.tables import WAYS, ranked
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

BARS = 12
"""Features in a picture."""
PART_COLOURS: dict[Part, str] = dict(zip(FEATURES, PALETTE, strict=False))
KIND_COLOURS: dict[Kind, str] = dict(zip(KINDS, (*PALETTE, "#D9C77E"), strict=False))


def importance(weights: Sequence[Weight]) -> Figure:
    """Bars: the share of the choices that change if a feature is permuted, both ways."""
    figure, axes = new_figure(2, height=4.2, width=12)
    for ax, (way, title) in zip(axes, WAYS.items(), strict=True):
        shown = ranked(weights, way)[:BARS]
        for place, weight in enumerate(shown):
            e = weight.changed
            ax.barh(place, e.value, color=PART_COLOURS[weight.feature.part], height=0.65)
            if e.low is not None and e.high is not None:
                ax.plot([e.low, e.high], [place, place], color="black", lw=1)
        ax.set(yticks=range(len(shown)), yticklabels=[weight.feature.name for weight in shown])
        ax.set_title(title, fontsize=9)
        ax.set_xlabel("Choices that change")
        ax.set_xlim(left=0)
        ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=None))
        ax.invert_yaxis()
    handles = [Patch(color=colour, label=part) for part, colour in PART_COLOURS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return figure


def disagreement(found: Disagreement) -> Figure:
    """Stacked bars: how decisions differ, by how far into the episode and by place in the cycle."""
    figure, axes = new_figure(2, height=3.8, width=12)
    shown = [kind for kind in KINDS if found.all.of_kind[kind].value > 0]
    for ax, shares, label in zip(
        axes,
        (found.by_quarter, found.by_position),
        ("Part of the episode", "Layers of the cycle trained so far"),
        strict=True,
    ):
        _stack(ax, shares, shown)
        ax.set_xlabel(label)
        ax.set_ylabel("Share of the decisions")
        ax.set_ylim(0, 1)
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    handles = [Patch(color=KIND_COLOURS[kind], label=KINDS[kind]) for kind in shown]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return figure


def _stack(ax: Axes, columns: Mapping[str, Shares], shown: Sequence[Kind]) -> None:
    bottom = np.zeros(len(columns))
    for kind in shown:
        heights = np.array([shares.of_kind[kind].value for shares in columns.values()])
        ax.bar(range(len(columns)), heights, bottom=bottom, color=KIND_COLOURS[kind], width=0.7)
        bottom += heights
    ax.set_xticks(range(len(columns)), list(columns))


def course(
    records: Mapping[str, EpisodeRecord],
    gain: float,
    prices: tuple[float, float, float],
    metric: str = "accuracy",
) -> Figure:
    """One episode by each: accuracy, return so far, energy and bytes over simulated time.

    Args:
        records: of the same world.
        gain: reward units of an accuracy of 1.
        prices: reward units of a second, a joule and a byte.
        metric: what accuracies are called.
    """
    figure, axes = new_figure(4, height=2.9, columns=2, width=12)
    end = max(record["time_s"] for record in records.values()) or SOME_S
    unit, label_of_time = time_axis(end)
    for number, (label, record) in enumerate(records.items()):
        times, (accuracy, energy, n_bytes) = _curves(record)
        costs = np.stack([times, energy, n_bytes], axis=1) @ np.array(prices)
        so_far = gain * (accuracy - accuracy[0]) - costs
        colour, dashes = colour_of(number), variant_of(number, DASHES)
        for ax, values in zip(axes, (accuracy, so_far, energy, n_bytes / 1e6), strict=True):
            ax.plot(times / unit, values, color=colour, ls=dashes, label=literal(label))
            ax.plot(times[-1] / unit, values[-1], "o", color=colour, ms=5)
    for ax, title in zip(
        axes, (f"Validation {metric}", "Return so far", "Energy [J]", "Traffic [MB]"), strict=True
    ):
        ax.set(ylabel=title, xlabel=label_of_time)
    axes[0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    legend_right(axes[1])
    return figure


def _curves(record: EpisodeRecord) -> tuple[Floats, Floats]:
    """Times [n], and accuracy, energy and bytes then [3, n]: they jump at the end of each hop."""
    hops = record["trace"]
    ends = [h["start_s"] + h["receive_s"] + h["compute_s"] + h["send_s"] for h in hops]
    after = np.array(
        [
            [record["initial_accuracy"], *(h["metric"] for h in hops), record["validation_accuracy"]],
            [*np.cumsum([0.0, *(h["energy_j"] for h in hops)]), record["energy_j"]],
            [*np.cumsum([0.0, *(h["n_bytes"] for h in hops)]), record["n_bytes"]],
        ]
    )
    times = np.array([0.0, *ends, record["time_s"]])
    # Twice each but the first: just before the end of a hop, and after it.
    return np.repeat(times, 2)[1:], np.repeat(after, 2, axis=1)[:, :-1]
