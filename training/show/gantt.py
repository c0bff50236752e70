"""Who trained which layer when, and why it fits them: layers' sizes, and which nodes have room for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from snakegym.envs.render import amount
from snakegym.training.episodes.play import EpisodeRecord
from snakegym.training.episodes.terrain import Terrain
from snakegym.training.show.figures import SOME_S, literal, time_axis

SEND, MISHAP, NO_ROOM, ANY = "#6e6e6e", "#D55E00", "#ffffff", "#888888"
PALE = 0.3
"""How much of a layer's colour is left while the node still receives."""
LEGEND, TALLEST, NAMED_NODES = 24, 150, 24
"""Layers that are named, height of a picture in inches, nodes that are named: more is no picture any more."""
ENDS = {
    "finish": "finished",
    "target": "target reached",
    "time": "out of time",
    "energy": "out of energy",
    "hops": "out of hops",
    "decisions": "out of decisions",
}
"""Why an episode ended, in words; the others stand for themselves."""

RGBA = tuple[float, float, float, float]


def gantt(
    records: Mapping[str, Sequence[EpisodeRecord]], terrain: Terrain, metric: str = "accuracy"
) -> Figure:
    """The first episode of each scheduler: which node did what when, and how it ended.

    The rows go from small to large devices and are named by them, a strip shows for which layers each has the
    memory, and the legend says what the layers weigh.

    Args:
        records: per scheduler its episodes.
        terrain: of that first episode, the same for all schedulers.
        metric: what accuracies are called.
    """
    n_nodes, n_middle = terrain.n_nodes, terrain.n_middle
    colours = layer_colours(n_middle)
    figure, strips, charts = _axes(len(records), n_nodes, n_middle)
    end = max(episodes[0]["time_s"] for episodes in records.values()) or SOME_S
    unit, label_of_time = time_axis(end)
    rows = np.argsort(terrain.order())
    for ax, (label, episodes) in zip(charts, records.items(), strict=True):
        _draw_hops(ax, episodes[0], rows, colours, unit)
        _draw_end(ax, label, episodes[0], unit, metric)
        ax.set(ylim=(n_nodes - 0.5, -0.5), xlim=(0, end / unit * 1.01))
    for ax in strips:
        _draw_strip(ax, terrain, colours)
        _name_nodes(ax, terrain)
    for ax in charts[:-1]:
        ax.tick_params(labelbottom=False)
    charts[-1].set_xlabel(label_of_time)
    firsts = [episodes[0] for episodes in records.values()]
    handles = _legend(firsts, colours, terrain)
    figure.legend(handles=handles, loc="outside right upper", frameon=False, fontsize=8)
    return figure


def layer_colours(n_middle: int) -> list[RGBA]:
    """One colour a layer, dark to light with depth, readable with any kind of colour vision."""
    return [
        (float(r), float(g), float(b), 1.0)
        for r, g, b, _ in colormaps["viridis"](np.linspace(0, 0.95, n_middle))
    ]


def _pale(colour: RGBA) -> RGBA:
    r, g, b = (1 - PALE * (1 - c) for c in colour[:3])
    return r, g, b, 1.0


def _axes(n: int, n_nodes: int, n_middle: int) -> tuple[Figure, list[Axes], list[Axes]]:
    """A figure with a chart for each of `n` episodes, and on the left of each a strip."""
    legend_height = 0.2 * (min(n_middle, LEGEND) + 7)
    height = min(max(0.7 + 0.2 * n_nodes, legend_height / n), TALLEST / n)
    figure = Figure(figsize=(11, height * n), layout="constrained")
    FigureCanvasAgg(figure)
    widths = [min(0.05 + 0.012 * n_middle, 0.3), 1.0]
    grid = figure.subplots(n, 2, squeeze=False, width_ratios=widths, sharey="row")
    charts: list[Axes] = list(grid[:, -1])
    for ax in charts:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(True, axis="x", color="#e5e5e5", lw=0.6)
        ax.set_axisbelow(True)
        ax.tick_params(left=False, labelleft=False)
    return figure, list(grid[:, 0]), charts


def _draw_hops(
    ax: Axes, record: EpisodeRecord, rows: NDArray[np.intp], colours: Sequence[RGBA], unit: float
) -> None:
    bars: dict[tuple[int, RGBA | str], list[tuple[float, float]]] = {}
    for hop in record["trace"]:
        start, row = hop["start_s"], int(rows[hop["node"]])
        phases = (
            (hop["receive_s"], _pale(colours[hop["layer"]])),
            (hop["compute_s"], colours[hop["layer"]]),
            (hop["send_s"], SEND),
        )
        for seconds, colour in phases:
            if seconds:
                bars.setdefault((row, colour), []).append((start / unit, seconds / unit))
            start += seconds
        if hop["interrupted"]:
            ax.plot(start / unit, row, "x", color=MISHAP, ms=5, mew=1.5)
    # One artist for all bars of a colour in a row: one a bar takes seconds to draw.
    for (row, colour), ranges in bars.items():
        ax.broken_barh(ranges, (row - 0.4, 0.8), color=colour, lw=0)


def _draw_end(ax: Axes, label: str, record: EpisodeRecord, unit: float, metric: str) -> None:
    """What came out as the title, and a line where the process ended."""
    why = ENDS.get(record["ended"], record["ended"])
    time = record["time_s"] / unit
    ax.axvline(time, color="black", lw=1.2, ls="--" if record["ended"] == "finish" else "-", clip_on=False)
    how = f"{why} after {time:.1f} {'min' if unit > 1 else 's'}"
    ax.set_title(
        f"{literal(label)}: validation {metric} {record['validation_accuracy']:.1%}, "
        f"{record['hops']} hops, {how}",
        loc="left",
        fontsize=9,
    )


def _draw_strip(ax: Axes, terrain: Terrain, colours: Sequence[RGBA]) -> None:
    """A cell for each node and layer: the layer's colour where the node has the memory for it."""
    order, n_middle = terrain.order(), len(terrain.layer_bytes)
    cells = np.where(terrain.fits[order], np.arange(1, n_middle + 1), 0)
    ax.imshow(cells, cmap=ListedColormap([to_rgba(NO_ROOM), *colours]), vmin=0, vmax=n_middle, aspect="auto")
    if len(order) <= NAMED_NODES:
        for row, layer in zip(*np.nonzero(cells == 0), strict=True):
            ax.plot([layer - 0.3, layer + 0.3], [row + 0.3, row - 0.3], color="#999999", lw=0.8)
        ax.hlines(np.arange(1, len(order)) - 0.5, -0.5, n_middle - 0.5, color="white", lw=2)
    ax.set_title("layers that fit", fontsize=8)
    ax.spines[:].set_visible(False)
    ax.tick_params(left=False, bottom=False, labelbottom=False)


def _name_nodes(ax: Axes, terrain: Terrain) -> None:
    order, n_nodes = terrain.order(), terrain.n_nodes
    places = np.unique(np.linspace(0, n_nodes - 1, min(n_nodes, NAMED_NODES)).round().astype(int))
    ax.set_yticks(places, [_device(terrain, int(order[place])) for place in places], fontsize=7)


def _device(terrain: Terrain, node: int) -> str:
    """Number and device of a node."""
    memory, speed = terrain.memory_bytes[node], terrain.peak_flops[node]
    return f"{node}: {amount(memory, 'B')}, {amount(speed, 'FLOP/s')}"


def _legend(records: Sequence[EpisodeRecord], colours: Sequence[RGBA], terrain: Terrain) -> list[Artist]:
    n_middle = len(colours)
    named = sorted({round(i) for i in np.linspace(0, n_middle - 1, min(n_middle, LEGEND))})
    sizes = [f", {amount(terrain.layer_bytes[i], 'B')}" for i in named]
    handles: list[Artist] = [
        Patch(color=colours[i], label=f"trains layer {i}{size}") for i, size in zip(named, sizes, strict=True)
    ]
    hops = [hop for record in records for hop in record["trace"]]
    handles.append(Patch(color=_pale(to_rgba(ANY)), label="pale: receives for it"))
    if any(hop["send_s"] for hop in hops):
        handles.append(Patch(color=SEND, label="sends"))
    if any(hop["interrupted"] for hop in hops):
        handles.append(Line2D([], [], color=MISHAP, marker="x", ls="", label="interrupted"))
    if not terrain.fits.all():
        handles.append(Line2D([], [], color="#999999", marker="$/$", ls="", label="no memory for it"))
    ended = {record["ended"] == "finish" for record in records}
    if True in ended:
        handles.append(Line2D([], [], color="black", ls="--", label="finished"))
    if False in ended:
        handles.append(Line2D([], [], color="black", label="over: budget or target"))
    return handles
