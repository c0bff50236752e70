"""Pictures and text of a process: the network, the snake's path and the layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snakegym.control.records import Hop
from snakegym.control.view import ProcessView
from snakegym.network.records import PCE

TRAIL = 8
"""Hops of the path that a frame shows."""
NAMED = 40
"""Nodes that a frame has room to name: of more, every second, third and so on."""
FEW = 16
"""Nodes or layers of which a frame has room to say more."""
PREFIXES = ("", "k", "M", "G", "T", "P")


def amount(value: float, unit: str) -> str:
    """A quantity with three digits and the prefix that suits it: 63400 B are 63.4 kB."""
    value = float(f"{value:.3g}")
    power = min(max(math.floor(math.log10(value) / 3), 0), len(PREFIXES) - 1) if value > 0 else 0
    return f"{value / 1000**power:.3g} {PREFIXES[power]}{unit}"


def write_frame(view: ProcessView, history: Sequence[Hop]) -> str:
    """The state as text, a line a node."""
    head = (
        f"t = {view.clock_s:.1f} s   cycle {view.cycle}   hop {view.hops}   "
        f"validation accuracy {view.metric:.3f}   {view.spent.energy_j:.2f} J   "
        f"{view.spent.n_bytes / 1e6:.2f} MB"
    )
    layers = "  ".join(
        f"{count}{'*' if done else ''} ({amount(size, 'B')})"
        for count, done, size in zip(
            view.layers.times_trained, view.layers.trained_in_cycle, view.layers.n_bytes, strict=True
        )
    )
    path = " > ".join(str(h.assignment.node) for h in history[-TRAIL:]) or "-"
    lines = [head, f"times each layer was trained (* in this cycle; its size): {layers}", f"path: {path}"]
    lines.append("  node  free  up Mbit/s  down Mbit/s  samples  diverg.  visits  memory kB  lacks kB")
    nodes = view.nodes
    for n in range(view.n_nodes):
        mark = "~" if n == view.holder else " " if nodes.reachable[n] else "x"
        lines.append(
            f"{mark} {n:4d}  {nodes.availability[n]:4.0%}  {nodes.uplink_bps[n] / 1e6:9.2f}  "
            f"{nodes.downlink_bps[n] / 1e6:11.2f}  {nodes.samples[n]:7d}  {nodes.divergence[n]:7.2f}  "
            f"{nodes.visits[n]:6d}  {nodes.memory_bytes[n] / 1e3:9.0f}  {nodes.missing_bytes[n] / 1e3:8.1f}"
        )
    return "\n".join(lines)


def draw_frame(view: ProcessView, history: Sequence[Hop]) -> NDArray[np.uint8]:
    """The state as an RGB picture, uint8 [480, 840, 3]."""
    # Imported here: the environment itself does not need matplotlib, which is slow to import.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 4.8), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    topology, layers = figure.subplots(1, 2, width_ratios=[2.2, 1])
    _draw_topology(topology, view, history)
    _draw_layers(layers, view)
    figure.suptitle(
        f"t = {view.clock_s:.0f} s, cycle {view.cycle}, hop {view.hops}, accuracy {view.metric:.2f}",
        fontsize=11,
    )
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()  # type: ignore[no-untyped-call]


def _positions(n_nodes: int) -> NDArray[np.float64]:
    """Nodes on a circle around the PCE, node 0 at the top, clockwise."""
    angle = np.pi / 2 - 2 * np.pi * np.arange(n_nodes) / n_nodes
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _draw_topology(axes: Any, view: ProcessView, history: Sequence[Hop]) -> None:
    nodes, at = view.nodes, _positions(view.n_nodes)
    axes.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), aspect="equal")
    axes.axis("off")
    quality = np.minimum(nodes.uplink_bps, nodes.downlink_bps)
    best = max(float(quality.max()), 1.0)
    few = view.n_nodes <= FEW
    for (x, y), q in zip(at, quality, strict=True):
        style = "-" if q > 0 else ":"
        axes.plot([0, x], [0, y], style, color="0.6", linewidth=0.5 + 3.5 * q / best, zorder=1)
    _draw_path(axes, at, history)
    size = 150 + 350 * nodes.samples / nodes.samples.max()
    dots = axes.scatter(
        *at.T, s=size, c=nodes.availability, cmap="viridis", vmin=0, vmax=1, zorder=3,
        edgecolors=np.where(nodes.reachable, "black", "red"), linewidths=1.2,
    )  # fmt: skip
    axes.figure.colorbar(dots, ax=axes, location="bottom", label="compute available", shrink=0.6, aspect=30)
    axes.scatter(0, 0, s=260, marker="s", color="white", edgecolors="black", zorder=3)
    axes.text(0, 0, "PCE", ha="center", va="center", fontsize=7, zorder=4)
    for n in range(0, view.n_nodes, -(-view.n_nodes // NAMED)):
        x, y = at[n] * 1.3
        axes.text(x, y, str(n), ha="center", va="bottom" if few else "center", fontsize=9)
        if few:
            memory = amount(nodes.memory_bytes[n], "B")
            axes.text(x, y, memory, ha="center", va="top", fontsize=7, color="0.35")
    holder = (0.0, 0.0) if view.holder == PCE else at[view.holder]
    axes.scatter(*holder, s=750, facecolors="none", edgecolors="crimson", linewidths=2, zorder=2)
    axes.set_title(
        "link width: rate; size: samples; in grey: memory\nring: holds the model; red edge: unreachable",
        fontsize=8,
    )


def _draw_path(axes: Any, at: NDArray[np.float64], history: Sequence[Hop]) -> None:
    trail = list(history[-TRAIL:])
    for age, hop in enumerate(reversed(trail)):
        start = np.zeros(2) if hop.sender == PCE else at[hop.sender]
        end = at[hop.assignment.node]
        if hop.sender == hop.assignment.node:
            continue
        arrow = {"arrowstyle": "-|>", "color": "crimson", "linewidth": 2, "alpha": 1 - age / (TRAIL + 1)}
        if hop.phases.interrupted:
            arrow["linestyle"] = "--"
        arrow.update(shrinkA=9, shrinkB=9, connectionstyle="arc3,rad=0.15")
        axes.annotate("", end, start, arrowprops=arrow, zorder=2)


def _draw_layers(axes: Any, view: ProcessView) -> None:
    layers, places = view.layers, np.arange(view.n_middle)
    counts, done = layers.times_trained, layers.trained_in_cycle
    axes.barh(places, counts, color=np.where(done, "#0072B2", "#BBBBBB"))
    axes.invert_yaxis()
    axes.set_xlim(0, max(4.0, 1.5 * counts.max()))
    names = [f"{i}: {amount(size, 'B')}" for i, size in enumerate(layers.n_bytes)]
    axes.set_yticks(places, names, fontsize=9 if view.n_middle <= FEW else 6)
    axes.set(xlabel="times trained", ylabel="middle layer and its size")
    if view.n_middle <= FEW:
        for place, (count, n) in enumerate(zip(counts, view.fits.sum(axis=0), strict=True)):
            axes.text(count + 0.08, place, f"fits {n} of {view.n_nodes}", va="center", fontsize=7)
    axes.set_title("blue: trained in this cycle\nfits: nodes that have the memory", fontsize=8)
