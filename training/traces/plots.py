"""Pictures of traces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from snakegym.network.traces.formats.base import KINDS, Kind
from snakegym.network.traces.summary import Items, main_values, strata
from snakegym.network.traces.trace import LinkTrace, Trace
from snakegym.training.show.figures import PALETTE

LABELS: dict[Kind, str] = {"link": "Mbit/s", "compute": "Free share of the compute"}
OUT = "#D55E00"


def over_time(links: Sequence[LinkTrace], computes: Sequence[Trace]) -> Figure:
    """A few traces as they are replayed, one below the other, outages shaded."""
    figure = Figure(figsize=(10, 0.6 + 1.9 * (len(links) + len(computes))), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(links) + len(computes), 1, squeeze=False)[:, 0]
    for ax, link in zip(axes, links, strict=False):
        _steps(ax, link.downlink, 1e6, PALETTE[0], "down")
        _steps(ax, link.uplink, 1e6, PALETTE[4], "up")
        _shade(ax, link.downlink)
        ax.set_ylabel("Mbit/s")
        ax.legend(loc="upper right", ncols=2, frameon=False, fontsize=8)
        _dress(ax, link.name)
    for ax, trace in zip(axes[len(links) :], computes, strict=True):
        _steps(ax, trace, 1.0, PALETTE[2], "")
        _shade(ax, trace)
        ax.set(ylabel="Free share", ylim=(0, 1.05))
        _dress(ax, trace.name)
    axes[-1].set_xlabel("Time [min]; shaded: out")
    return figure


def distributions(items: Items) -> Figure:
    """How the samples of each source and scenario spread: 5 to 95 %, the middle half, the median."""
    kinds = [kind for kind in KINDS if any(r.kind == kind for _, r in items)]
    groups = {kind: strata([(o, r) for o, r in items if r.kind == kind]) for kind in kinds}
    rows = [len(g) + 1.5 for g in groups.values()]
    figure = Figure(figsize=(9, 0.8 + 0.28 * sum(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(kinds), 1, squeeze=False, gridspec_kw={"height_ratios": rows})[:, 0]
    for ax, kind in zip(axes, kinds, strict=True):
        named = {
            f"{' '.join(filter(None, stratum))} ({len(members)})": np.concatenate(
                [main_values(r) for _, r in members]
            )
            for stratum, members in groups[kind].items()
        }
        for y, values in enumerate(named.values()):
            low, left, middle, right, high = np.quantile(values, (0.05, 0.25, 0.5, 0.75, 0.95))
            colour = PALETTE[0 if kind == "link" else 2]
            ax.plot([low, high], [y, y], color=colour, lw=1.2)
            ax.plot([left, right], [y, y], color=colour, lw=6, alpha=0.55, solid_capstyle="butt")
            ax.plot(middle, y, "|", color="black", ms=10, mew=1.6)
        ax.set_xlabel(LABELS[kind])
        # Names are no formulas, even between dollars.
        ax.set_yticks(range(len(named)), list(named), parse_math=False)
        if kind == "link":  # rates span three orders of magnitude and include 0
            ax.set_xscale("symlog", linthresh=0.1)
            ax.set_xlim(left=0)
        else:
            ax.set_xlim(0, 1.02)
        ax.invert_yaxis()
        _dress(ax, f"{kind} traces: 5 to 95 %, middle half and median of all samples (number of traces)")
    return figure


def _steps(ax: Axes, trace: Trace, unit: float, colour: str, label: str) -> None:
    times = np.append(trace.times_s, trace.period_s) / 60
    values = np.append(trace.values, trace.values[-1]) / unit
    ax.step(times, values, where="post", color=colour, lw=0.9, label=label)


def _shade(ax: Axes, trace: Trace) -> None:
    ends = np.append(trace.times_s[1:], trace.period_s)
    for start, end in zip(trace.times_s[trace.values == 0], ends[trace.values == 0], strict=True):
        ax.axvspan(start / 60, end / 60, color=OUT, alpha=0.18, lw=0)


def _dress(ax: Axes, title: str) -> None:
    ax.set_title(title, loc="left", fontsize=9, parse_math=False)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(True, color="#e5e5e5", lw=0.6)
    ax.set_axisbelow(True)
    if ax.get_ylim()[0] < 0 < ax.get_ylim()[1] and not ax.yaxis_inverted():
        ax.set_ylim(bottom=0)
    ax.margins(x=0.01)
