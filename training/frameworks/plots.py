"""Pictures of a comparison: accuracy or perplexity against what it cost, and by layer order."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from snakegym.frameworks.registry import entry, place
from snakegym.training.frameworks.records import perplexity
from snakegym.training.show.figures import DASHES, PALETTE, legend_right, literal, new_figure, save

Result = Mapping[str, Any]
Floats = NDArray[np.float64]
ORDERS = {"snake-p2p": "sequential", "snake-random": "random", "snake-reverse": "reverse"}


def draw(out: Path, groups: Mapping[str, Sequence[Result]]) -> list[str]:
    """Draw all pictures that the results allow into the folder; their names."""
    names = list(groups)
    metric = groups[names[0]][0].get("metric", "accuracy") if names else "accuracy"
    same_curve = {"snake-cs", "snake-random", "snake-reverse", "snake-rotating", "snake-interrupted"}
    by_pass = [n for n in names if n not in same_curve or (n == "snake-cs" and "snake-p2p" not in names)]
    main = [n for n in names if n not in ORDERS or n == "snake-p2p"]
    pictures = [
        (f"{metric}_passes.png", by_pass, _passes, "Passes over the data", False),
        (f"{metric}_bytes.png", main, lambda r: _running(r, "n_bytes") / 1e6, "Bytes on the air [MB]", True),
        (f"{metric}_time.png", main, lambda r: _running(r, "time_s") / 3600, "Simulated time [h]", True),
    ]
    done = []
    for name, chosen, x, label, log in pictures:
        figure, (ax,) = new_figure(1)
        _curves(ax, {entry(n).title: (n, groups[n]) for n in chosen}, x, skip_start=log)
        ax.set(xlabel=label, ylabel=f"Test {metric}", xscale="log" if log else "linear")
        legend_right(ax)
        save(figure, out / name)
        done.append(name)
    orders = {title: (n, groups[n]) for n, title in ORDERS.items() if n in groups}
    if len(orders) > 1:
        figure, (ax,) = new_figure(1)
        _curves(ax, orders, _passes, skip_start=False)
        ax.set(xlabel="Passes over the data", ylabel=f"Test {metric}", title="Order of the middle layers")
        legend_right(ax)
        save(figure, out / "layer_order.png")
        done.append("layer_order.png")
    return done


def draw_perplexities(path: Path, comparisons: Mapping[str, Sequence[Result]]) -> None:
    """Perplexity against passes over the data, one panel a comparison, by its name."""
    figure, axes = new_figure(len(comparisons))
    for ax, (name, results) in zip(axes, comparisons.items(), strict=True):
        groups: dict[str, list[Result]] = {}
        for result in results:
            groups.setdefault(result["framework"], []).append(result)
        _curves(ax, {entry(n).title: (n, pieces) for n, pieces in groups.items()}, _passes, skip_start=False)
        ax.set(xlabel="Passes over the data", ylabel="Test perplexity", title=name)
    legend_right(axes[-1])
    save(figure, path)


def _curves(
    ax: Axes,
    chosen: Mapping[str, tuple[str, Sequence[Result]]],
    x: Callable[[Result], Floats],
    *,
    skip_start: bool,
) -> None:
    """Mean over seeds, and a band from the lowest to the highest; a log axis has no place for the start."""
    for others, (title, (name, pieces)) in enumerate(chosen.items()):
        index = place(name, others)
        colour, dash = PALETTE[index % len(PALETTE)], DASHES[index // len(PALETTE) % len(DASHES)]
        xs = np.mean([x(piece) for piece in pieces], axis=0)[skip_start:]
        ys = np.array([_accuracy(piece) for piece in pieces])[:, skip_start:]
        ax.plot(xs, ys.mean(axis=0), lw=1.6, color=colour, ls=dash, label=literal(title))
        if len(pieces) > 1:
            ax.fill_between(xs, ys.min(axis=0), ys.max(axis=0), color=colour, alpha=0.12, lw=0)
    if all(piece.get("metric") == "perplexity" for _, pieces in chosen.values() for piece in pieces):
        ax.set_yscale("log")
    else:
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def _accuracy(result: Result) -> Floats:
    """The accuracy, or of a language model the perplexity, before the first round and after each."""
    if result.get("metric") == "perplexity":
        losses = [result["initial"]["test_loss"], *(r["test_loss"] for r in result["rounds"])]
        return np.array([math.nan if loss is None else perplexity(loss) for loss in losses])
    return np.array([result["initial"]["test"], *(r["test_accuracy"] for r in result["rounds"])])


def _passes(result: Result) -> Floats:
    return np.array([0.0, *(r["passes"] for r in result["rounds"])])


def _running(result: Result, key: str) -> Floats:
    return np.cumsum([0.0, *(r[key] for r in result["rounds"])])
