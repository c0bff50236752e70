"""What each part of the recipe for a learned scheduler is worth: its curves, from runs to data to a picture.

    python experiments/ablation.py collect runs experiments/data/ablation.csv
    python experiments/ablation.py draw experiments/data/ablation.csv experiments/ablation.png

Runs lie in folders `ARM-SEED`. Seconds are those of the algorithm's own clock in the run of seed 0, one
process a core; `IMITATING_S` is added where a planner was imitated first.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

from snakegym.training.show.figures import colour_of

ARMS = {
    "full": "imitate, then PPO with a pull",
    "plain": "imitate, then PPO",
    "scratch": "PPO from nothing",
    "blind": "the same without pair features",
}
IMITATING_S = 290.0
"""Collecting 16,361 decisions of `lookahead` and cloning them, on one core of that machine: 180 s of CPU on a
faster one, by the ratio of their speeds."""
COLUMNS = ("arm", "seed", "decisions", "seconds", "validation_return")


def rows_of(folder: Path, name: str) -> list[dict[str, str]]:
    """Of a table that a run left."""
    with (folder / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def collect(runs: Path, out: Path) -> None:
    """The curves of all runs of ARMS as one table."""
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for arm in ARMS:
            clocked = rows_of(runs / f"{'scratch' if arm == 'blind' else arm}-0", "learner.csv")[-1]
            pace = float(clocked["time/time_elapsed"]) / int(clocked["timesteps"])
            before = IMITATING_S if arm in ("full", "plain") else 0.0
            for run in sorted(runs.glob(f"{arm}-[0-9]")):
                for row in rows_of(run, "progress.csv"):
                    if row["validation_return"]:
                        steps = int(row["timesteps"])
                        score = f"{float(row['validation_return']):.4f}"
                        writer.writerow([arm, run.name[-1], steps, round(before + pace * steps), score])


def draw(data: Path, out: Path) -> None:
    """Mean over seeds with a 95 % interval, by decisions and by time."""
    curves: dict[str, dict[str, list[tuple[float, float, float]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows_of(data.parent, data.name):
        values = (float(row[name]) for name in COLUMNS[2:])
        curves[row["arm"]][row["seed"]].append(tuple(values))  # type: ignore[arg-type]
    figure, panes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    for i, (arm, seeds) in enumerate(curves.items()):
        runs = np.array(list(seeds.values()))  # [seeds, evaluations, 3]
        mean = runs[:, :, 2].mean(axis=0)
        off = stats.t.ppf(0.975, len(runs) - 1) * stats.sem(runs[:, :, 2], axis=0)
        for pane, column, unit in zip(panes, (0, 1), (1000, 60), strict=True):
            x = runs[0, :, column] / unit
            pane.plot(x, mean, color=colour_of(i), linewidth=2, label=f"{ARMS[arm]}, {len(runs)} seeds")
            pane.fill_between(x, mean - off, mean + off, color=colour_of(i), alpha=0.15, linewidth=0)
    for pane, label in zip(panes, ("decisions, thousands", "minutes of one core"), strict=True):
        pane.set(xlabel=label, ylim=(2, 7.5))
        pane.grid(alpha=0.3)
    panes[0].set_ylabel("return on validation episodes")
    panes[0].legend(loc="lower right")
    figure.savefig(out, dpi=120)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("collect", "draw"))
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    {"collect": collect, "draw": draw}[options.command](options.source, options.out)


if __name__ == "__main__":
    main()
