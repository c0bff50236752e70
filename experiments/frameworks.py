"""The tables of a page on frameworks, from the compare.json of one or more comparisons.

    python experiments/frameworks.py out/iid/compare.json out/dirichlet/compare.json [--passes 5]

Prints markdown: test accuracy and costs, and every framework against FedAvg and against the sequential
snake on the same seeds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from snakegym.frameworks.registry import FRAMEWORKS

BASELINES = ("fedavg", "snake-p2p")
COSTS = {
    "n_bytes": ("MB a round", 1e-6, np.mean),
    "node_memory_bytes": ("node memory, MB", 1e-6, np.max),
    "node_flops": ("busiest node, GFLOP a round", 1e-9, np.mean),
    "synchronisations": ("synchronisations", 1.0, np.mean),
    "time_s": ("time, h", 1 / 3600, np.sum),
    "energy_j": ("energy, kJ", 1e-3, np.sum),
}
"""Measure of a round to its title, unit, and how rounds come together."""


class Comparison:
    """What a compare.json holds, up to a number of rounds."""

    def __init__(self, path: Path, rounds: int | None) -> None:
        stored = json.loads(path.read_text())
        data = stored["comparison"]["scenario"]["data"]
        self.title = data["partition"] + ("" if data["partition"] == "iid" else f" {data['alpha']:g}")
        self.rounds = rounds or stored["comparison"]["cycles"]
        self._results: list[dict[str, Any]] = stored["results"]

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
                difference = _interval([a - b for a, b in pairs], sign="+")
                ratio = _interval([100 * a / b for a, b in pairs])
                rows.append([comparison.title, FRAMEWORKS[name].title, str(len(pairs)), difference, ratio])
    return _markdown(head, rows)


def _interval(values: Sequence[float], sign: str = "") -> str:
    mean = f"{np.mean(values):{sign}.1f}"
    if len(values) < 2:
        return mean
    return f"{mean} ± {stats.sem(values) * stats.t.ppf(0.975, len(values) - 1):.1f}"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+", help="compare.json of a comparison")
    parser.add_argument("--passes", type=int, help="after so many rounds (default: all)")
    args = parser.parse_args()
    comparisons = [Comparison(path, args.passes) for path in args.files]
    print(accuracies(comparisons))
    for baseline in BASELINES:
        print(f"\n{against(comparisons, baseline)}")


if __name__ == "__main__":
    main()
