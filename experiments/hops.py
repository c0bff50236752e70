"""What moves the accuracy from hop to hop: the node whose data come in, or the layer that it trains?

    python experiments/hops.py out/dirichlet/runs/snake-random-*.json

Takes finished pieces of `snakegym compare` (in the folder `runs` of its output) and prints markdown, a row a
framework. The first cycle is left out. Shares are those of the variance of a hop's change in validation
accuracy that lie between the nodes (or layers) of each seed, corrected for their number (adjusted R squared
of a one-way analysis of variance); p is of its F test. Where layers keep their nodes from cycle to cycle, the
two are the same.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from snakegym.frameworks.registry import FRAMEWORKS
from snakegym.training.runs.folder import read_json

Change = tuple[int, dict[str, Any], float]
"""Seed, hop, and the change of validation accuracy that came with it, in points."""


def changes(result: dict[str, Any], n_nodes: int = 9) -> Iterable[Change]:
    """Of the hops after the first cycle of one finished piece."""
    hops = result["journal"]["hops"]
    for before, hop in zip(hops[n_nodes - 1 :], hops[n_nodes:], strict=False):
        yield result["seed"], hop, 100 * (hop["metric"] - before["metric"])


def explained(own: Sequence[Change], by: str) -> tuple[float, float]:
    """Share of the variance that lies between the groups of a seed, corrected, and its p."""
    groups: dict[tuple[int, int], list[float]] = defaultdict(list)
    for seed, hop, change in own:
        groups[seed, hop[by]].append(change)
    every = np.concatenate(list(groups.values()))
    within = sum(np.var(g) * len(g) for g in groups.values()) / (len(every) - len(groups))
    return 1 - within / np.var(every, ddof=1), stats.f_oneway(*groups.values()).pvalue


def table(pieces: Iterable[Path]) -> str:
    """A row a framework."""
    found: dict[str, list[Change]] = defaultdict(list)
    for path in pieces:
        result = read_json(path)
        found[result["framework"]].extend(changes(result))
    rows = ["| framework | hops | sd of the change, points | by node | by layer |", "|---|---|---|---|---|"]
    for name, own in found.items():
        cells = [f"{share:.0%} (p {p:.2g})" for share, p in (explained(own, by) for by in ("node", "layer"))]
        spread = np.std([change for *_, change in own], ddof=1)
        rows.append(f"| {FRAMEWORKS[name].title} | {len(own)} | {spread:.1f} | {' | '.join(cells)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pieces", type=Path, nargs="+", help="runs/*.json of a comparison")
    print(table(parser.parse_args().pieces))
