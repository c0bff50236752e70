"""The tables of a page on frameworks, from the compare.json of one or more comparisons.

    python experiments/frameworks.py out/iid/compare.json out/dirichlet/compare.json [--passes 5]

Prints markdown: test accuracy and costs, and every framework against FedAvg and against the sequential
snake on the same seeds. Comparisons with the same partition and as many passes are taken together; what both
have trained is the same, and counted once.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from snakegym.frameworks.registry import FRAMEWORKS
from snakegym.training.analysis.intervals import mean_and_half
from snakegym.training.runs.folder import read_json

BASELINES = ("fedavg", "snake-p2p")
COSTS: dict[str, tuple[str, float, Callable[..., Any]]] = {
    "n_bytes": ("MB a round", 1e-6, np.mean),
    "node_memory_bytes": ("node memory, MB", 1e-6, np.max),
    "node_flops": ("busiest node, GFLOP a round", 1e-9, np.mean),
    "synchronisations": ("synchronisations", 1.0, np.mean),
    "time_s": ("time, h", 1 / 3600, np.sum),
    "energy_j": ("energy, kJ", 1e-3, np.sum),
}
"""Measure of a round to its title, unit, and how rounds come together."""


class Comparison:
    """Results on one partition, up to a number of rounds."""

    def __init__(self, title: str, rounds: int) -> None:
        self.title, self.rounds = f"{title}, {rounds} passes", rounds
        self._results: list[dict[str, Any]] = []

    def add(self, results: Sequence[dict[str, Any]]) -> None:
        """Take in those of a framework and seed that are not here yet."""
        have = {(r["framework"], r["seed"]) for r in self._results}
        self._results += [r for r in results if (r["framework"], r["seed"]) not in have]

    def frameworks(self) -> list[str]:
        """Those with results, in the registry's order."""
        found = {r["framework"] for r in self._results}
        return [name for name in FRAMEWORKS if name in found]

    def accuracy(self, framework: str) -> dict[int, float]:
        """Seed to test accuracy after the last round, in per cent."""
        return {
            r["seed"]: 100 * r["rounds"]["test_accuracy"][self.rounds - 1]
            for r in self._results
            if r["framework"] == framework
        }

    def cost(self, framework: str, key: str) -> str:
        """Mean over the seeds."""
        _, unit, fold = COSTS[key]
        own = [r["rounds"][key][: self.rounds] for r in self._results if r["framework"] == framework]
        return f"{unit * np.mean([fold(rounds) for rounds in own]):.3g}"


def load(paths: Sequence[Path], rounds: int | None) -> list[Comparison]:
    """What the files hold, by partition and rounds (default: all of a file's)."""
    found: dict[tuple[str, int], Comparison] = {}
    for path in paths:
        stored = read_json(path)
        data = stored["comparison"]["scenario"]["data"]
        title = data["partition"] + ("" if data["partition"] == "iid" else f" {data['alpha']:g}")
        key = title, rounds or stored["comparison"]["cycles"]
        found.setdefault(key, Comparison(*key)).add(stored["results"])
    return list(found.values())


def accuracies(comparisons: Sequence[Comparison]) -> str:
    """A row a partition and framework: mean accuracy, that of each seed, and the costs."""
    head = ["partition", "framework", "test accuracy %", "by seed", *(title for title, *_ in COSTS.values())]
    rows = []
    for comparison in comparisons:
        for name in comparison.frameworks():
            own = list(comparison.accuracy(name).values())
            by_seed = ", ".join(f"{a:.1f}" for a in own)
            costs = [comparison.cost(name, key) for key in COSTS]
            rows.append([comparison.title, FRAMEWORKS[name].title, f"{np.mean(own):.1f}", by_seed, *costs])
    return _markdown(head, rows)


def against(comparisons: Sequence[Comparison], baseline: str) -> str:
    """Paired with the baseline on the same seeds: mean and 95 % interval (Student's t) over seeds."""
    head = ["partition", "framework", "seeds", "difference, points", f"% of {FRAMEWORKS[baseline].title}'s"]
    rows = []
    for comparison in comparisons:
        base = comparison.accuracy(baseline)
        for name in comparison.frameworks():
            pairs = [(a, base[s]) for s, a in comparison.accuracy(name).items() if s in base]
            if name != baseline and pairs:
                difference = mean_and_half([a - b for a, b in pairs], sign="+")
                ratio = mean_and_half([a / b for a, b in pairs], 100)
                rows.append([comparison.title, FRAMEWORKS[name].title, str(len(pairs)), difference, ratio])
    return _markdown(head, rows)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+", help="compare.json of a comparison")
    parser.add_argument("--passes", type=int, help="after so many rounds (default: all)")
    args = parser.parse_args()
    comparisons = load(args.files, args.passes)
    print(accuracies(comparisons))
    for baseline in BASELINES:
        print(f"\n{against(comparisons, baseline)}")


if __name__ == "__main__":
    main()
