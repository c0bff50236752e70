"""What a learned scheduler is worth: curves of its training, and how it compares with others.

    python experiments/learned.py curves experiments/learned.png 'reference=runs/ref-*'
    python experiments/learned.py table out/b reference lookahead milp greedy oort+stop serpentine

Curves are those of runs that differ in their seed: mean return on validation episodes against decisions.
Each run evaluates on validation episodes of its own seed, so single curves lie apart by what these are worth;
their mean has a 95 % interval by Student's t. The table is of what `snakegym benchmark` left in a
folder: returns, and how far the first scheduler is above every other one.
"""

from __future__ import annotations

import argparse
import csv
from glob import glob
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from snakegym.training.runs.folder import read_json
from snakegym.training.show.figures import colour_of


def curve(run: str) -> NDArray[np.float64]:
    """Rows of decisions and return."""
    with (Path(run) / "progress.csv").open(newline="", encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file) if r["validation_return"]]
    return np.array([[float(r["timesteps"]), float(r["validation_return"])] for r in rows])


def draw(groups: dict[str, list[str]], out: Path) -> None:
    """Thin lines for runs, a thick one for the mean of all that have come so far."""
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for i, (label, runs) in enumerate(groups.items()):
        curves = [curve(run) for run in runs]
        for one in curves:
            axes.plot(one[:, 0] / 1000, one[:, 1], color=colour_of(i), alpha=0.25, linewidth=1)
        shortest = min(len(one) for one in curves)
        values = np.stack([one[:shortest, 1] for one in curves])
        x, mean = curves[0][:shortest, 0] / 1000, values.mean(axis=0)
        axes.plot(x, mean, color=colour_of(i), linewidth=2, label=f"{label}, {len(runs)} seeds")
        if len(runs) > 1:
            off = stats.t.ppf(0.975, len(runs) - 1) * stats.sem(values, axis=0)
            axes.fill_between(x, mean - off, mean + off, color=colour_of(i), alpha=0.15, linewidth=0)
    axes.set(xlabel="decisions, thousands", ylabel="return on validation episodes")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(out, dpi=120)


def table(folder: Path, whose: str, others: list[str]) -> str:
    """Markdown: one row a scenario; an interval that excludes 0 is bold."""
    names = [whose, *others]
    lines = [
        f"| | {' | '.join(names)} | {' | '.join(f'{whose} - {other}' for other in others)} |",
        f"|{'---|' * (2 * len(names))}",
    ]
    for name, found in read_json(folder / "benchmark.json")["scenarios"].items():
        called = {label.removesuffix(" †"): label for label in found["summary"]}
        returns = [f"{found['summary'][called[one]]['total_reward']['value']:.2f}" for one in names]
        above = [_difference(found["paired_difference"][called[whose]][called[other]]) for other in others]
        lines.append(f"| `{name}` | {' | '.join([*returns, *above])} |")
    return "\n".join(lines)


def _difference(estimate: dict[str, float]) -> str:
    text = f"{estimate['value']:+.2f} [{estimate['low']:.2f}, {estimate['high']:.2f}]"
    return f"**{text}**" if estimate["low"] > 0 or estimate["high"] < 0 else text


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    curves = commands.add_parser("curves")
    curves.add_argument("out", type=Path)
    curves.add_argument("runs", nargs="+", metavar="LABEL=PATTERN")
    compared = commands.add_parser("table")
    compared.add_argument("folder", type=Path)
    compared.add_argument("whose")
    compared.add_argument("others", nargs="+")
    options = parser.parse_args()
    if options.command == "table":
        print(table(options.folder, options.whose, options.others))
        return
    groups = {text.partition("=")[0]: sorted(glob(text.partition("=")[2])) for text in options.runs}
    for label, runs in groups.items():
        if not runs:
            parser.error(f"found no run for '{label}'")
    draw(groups, options.out)


if __name__ == "__main__":
    main()
