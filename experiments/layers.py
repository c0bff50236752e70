"""What does the reward of a hop depend on, with layers that are alike and with layers that differ?

    python experiments/layers.py --seeds 4 --out experiments/data/layers.json

Prints markdown, a row the default scenario or a change of it: shares of the variance of a hop's reward over
all legal pairs of node and layer, as `snakegym scenarios check` measures them, and how far round robin and
random choice come within the budget. What is in the output already is not measured again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from snakegym.agents.registry import make_scheduler
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.scenario import load_scenario
from snakegym.training.analysis.variance import Shares, decompose
from snakegym.training.episodes.play import episode_seed, play_scheduler
from snakegym.training.runs.changes import changed
from snakegym.training.runs.folder import read_json
from snakegym.training.scenarios.probes import probe

RULES = ("serpentine", "random")
EPISODES = 10


FORMER = (
    "data.alpha=0.5",
    "model={name: mlp, options: {width: 64, middle: 7}}",
    "learning={epochs: 2, batch_size: 32, optimizer: adam, learning_rate: 0.002, decay: 0.9, clip_norm: 1.0}",
    "network.traces.generator={}",
    *(f"network.devices.{i}.peak_flops={flops}" for i, flops in enumerate((4e6, 1e7, 2.5e7))),
    *(f"network.devices.{i}.memory_bytes={size}" for i, size in enumerate((1e6, 2e6, 8e6))),
    "process.budget.time_s=360",
    "objective.time=0.03",
    "objective.nominal={time_s: 15, energy_j: 8, n_bytes: 100000}",
)
"""What makes the default of before blocks from today's."""
ROOM = tuple(f"network.devices.{i}.memory_bytes=8e6" for i in range(3))
VARIANTS: dict[str, tuple[str, ...]] = {
    "`default`": (),
    "the default of before: perceptron, width 64, equal blocks": FORMER,
    "equal blocks of the same width": ("model={name: mlp, options: {width: 20, middle: 7}}",),
    "blocks 8 … 64 instead of 8 … 384": ("model.options.largest=64",),
    "every device has the memory": ROOM,
    "the same, trunk of width 64 instead of 20": ("model.options.width=64", *ROOM),
    "uplink 0.8 of the downlink instead of 0.4": ("network.traces.generator.uplink_ratio=0.8",),
    "rate 0.003 instead of 0.0016": ("learning.learning_rate=0.003",),
    "Dirichlet 0.3 instead of 0.7": ("data.alpha=0.3",),
}
"""Changes of the default scenario, as `--set` takes them."""


def measure(changes: Sequence[str], seeds: int) -> dict[str, Any]:
    """Shares over all states and of every seed's alone, legal pairs, and the rules' accuracy at the end."""
    env = SerpentineEnv(changed(load_scenario("default"), changes))
    probes = [probe(env, seed) for seed in range(seeds)]
    tables = [[p.rewards for p in own] for own in probes]
    accuracy = {}
    for rule in RULES:
        scheduler = make_scheduler(rule, env.scenario)
        episodes = [play_scheduler(env, scheduler, i, episode_seed(0, i)) for i in range(EPISODES)]
        accuracy[rule] = [e["validation_accuracy"] for e in episodes]
    return {
        "set": list(changes),
        "hops_before": [[p.hops for p in own] for own in probes],
        "shares": asdict(decompose([table for own in tables for table in own])),
        "by_seed": [asdict(decompose(own)) for own in tables],
        "accuracy": accuracy,
    }


def row(name: str, found: dict[str, Any]) -> str:
    """Of the table, in Markdown; below each share its smallest and largest of one seed."""
    cells = []
    for key in ("node", "layer", "both", "repetition"):
        each = [100 * own[key] for own in found["by_seed"]]
        cells.append(f"**{100 * found['shares'][key]:.0f}** ({min(each):.0f} to {max(each):.0f})")
    shares = Shares(**found["shares"])
    cells += [f"{shares.variance**0.5:.2f}", str(shares.pairs)]
    cells += [f"{100 * np.mean(found['accuracy'][rule]):.0f}" for rule in RULES]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="four states each")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    head = (
        "scenario",
        "node",
        "layer",
        "node x layer",
        "repetition",
        "sd of the reward",
        "pairs",
        "round robin",
    )
    print(f"| {' | '.join(head)} | random |\n|{'---|' * 9}")
    known = read_json(args.out) if args.out is not None and args.out.exists() else {}
    results = {}
    for name, changes in VARIANTS.items():
        results[name] = known.get(name) or measure(changes, args.seeds)
        print(row(name, results[name]), flush=True)
        if args.out is not None:
            args.out.parent.mkdir(parents=True, exist_ok=True)
            args.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
