"""What does the reward of a hop depend on, with layers that are alike and with layers that differ?

    python experiments/layers.py --seeds 5 --out experiments/data/layers.json

Prints markdown, a row a variant of the default scenario: shares of the variance of a hop's reward over all
legal pairs of node and layer, as `snakegym scenarios check` measures them, and how far round robin and random
choice come within the budget. Variants that are in the output already are not measured again.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from snakegym.agents.registry import make_scheduler
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.scenario import load_scenario
from snakegym.training.analysis.variance import Shares, decompose
from snakegym.training.episodes.play import episode_seed, play_scheduler
from snakegym.training.runs.folder import read_json
from snakegym.training.scenarios.probes import probe

RULES = ("serpentine", "random")
EPISODES = 10


@dataclass(frozen=True)
class Variant:
    """What is changed in the default scenario."""

    model: dict[str, Any] = field(default_factory=lambda: {"name": "mlp", "options": {"width": 64}})
    rate: float = 0.002
    speed: float = 1.0
    """Factor on the devices' FLOP/s."""
    memory: tuple[float, ...] = (1e6, 2e6, 8e6)
    """Bytes of the small, medium and large device."""
    uplink: float = 0.8
    """Uplink's share of the downlink's rate."""

    def scenario(self) -> dict[str, Any]:
        """The fields of the changed scenario."""
        fields: dict[str, Any] = load_scenario("default").model_dump(mode="json")
        fields["model"] = self.model
        fields["learning"]["learning_rate"] = self.rate
        fields["network"]["traces"]["generator"] = {"uplink_ratio": self.uplink}
        for device, memory in zip(fields["network"]["devices"], self.memory, strict=True):
            device["peak_flops"] *= self.speed
            device["memory_bytes"] = memory
        return fields


def blocks(width: int) -> dict[str, Any]:
    """The model with hidden sizes 8 to 512 on a trunk of that width."""
    return {"name": "blocks", "options": {"width": width}}


CONVOLUTIONS = {"name": "vgg", "options": {"width": 8}}
TIGHT = (3.2e5, 4.0e5, 8e6)  # the small device trains the first three blocks, the medium one all but the last
VARIANTS = {
    "perceptron, width 64, 7 equal blocks (`default`)": Variant(),
    "blocks 8 … 512, width 64": Variant(blocks(64)),
    "blocks 8 … 512, width 16": Variant(blocks(16)),
    "the same, rate 0.003, devices 3 times as fast": Variant(blocks(16), 0.003, 3),
    "the same, uplink 0.1 of the downlink": Variant(blocks(16), 0.003, 3, uplink=0.1),
    "the same, uplink as before, devices 6 times as fast": Variant(blocks(16), 0.003, 6),
    "the same, memory 320, 400, 8000 kB": Variant(blocks(16), 0.003, 6, TIGHT),
    "blocks, width 24, rate 0.002, devices 6 times as fast": Variant(blocks(24), 0.002, 6),
    "the same, width 32": Variant(blocks(32), 0.002, 6),
    "convolutions, width 8": Variant(CONVOLUTIONS),
    "the same, rate 0.003, devices 20 times as fast": Variant(CONVOLUTIONS, 0.003, 20),
}


def measure(variant: Variant, seeds: int) -> dict[str, Any]:
    """Shares over all states and of every seed's alone, legal pairs, and the rules' accuracy at the end."""
    env = SerpentineEnv(variant.scenario())
    probes = [probe(env, seed) for seed in range(seeds)]
    tables = [[p.rewards for p in own] for own in probes]
    accuracy = {}
    for rule in RULES:
        scheduler = make_scheduler(rule, env.scenario)
        episodes = [play_scheduler(env, scheduler, i, episode_seed(0, i)) for i in range(EPISODES)]
        accuracy[rule] = [e["validation_accuracy"] for e in episodes]
    return {
        "variant": asdict(variant),
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
        "variant",
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
    for name, variant in VARIANTS.items():
        results[name] = known.get(name) or measure(variant, args.seeds)
        print(row(name, results[name]), flush=True)
        if args.out is not None:
            args.out.parent.mkdir(parents=True, exist_ok=True)
            args.out.write_text(json.dumps(known | results, indent=1) + "\n")


if __name__ == "__main__":
    main()
