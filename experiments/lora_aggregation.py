"""What becomes of adapters of different ranks that nodes trained together, by how they are put together.

    python experiments/lora_aggregation.py --seeds 10 --out experiments/data/lora-aggregation.json

Three nodes with other digits each (Dirichlet 0.3) train adapters of rank 2, 4 and 8 of the same block, from
the same model. Stacking is what `snakegym` does; zero padding means the mean of all As times the mean of all
Bs, filled up to the highest rank; SVD cuts the exact sum down to a rank.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snakegym.data.datasets import Dataset, load_data
from snakegym.data.partition import partition
from snakegym.learning.aggregation import mean_of_adapters
from snakegym.learning.jobs import Engine, LocalTraining
from snakegym.learning.quantisation import as_handed_on
from snakegym.learning.sequential import SequentialEngine
from snakegym.models.state import A, B, ModelState
from snakegym.models.zoo import build_model
from snakegym.scenario import DataConfig, LearningConfig, LoraConfig, ModelConfig
from snakegym.training.analysis.intervals import mean_and_half
from snakegym.training.runs.folder import write_json

RANKS, SHOWN, WARM, MIDDLE = (2, 4, 8), (1, 2, 4, 8, 14), 14, 3
Pair = tuple[Tensor, Tensor]


def padded(pairs: list[Pair], weights: list[float]) -> Pair:
    """Mean of the As and mean of the Bs, filled up with zeros."""
    most = max(len(a) for a, _ in pairs)
    a = [torch.nn.functional.pad(a, (0, 0, 0, most - len(a))) for a, _ in pairs]
    b = [torch.nn.functional.pad(b, (0, most - b.shape[1])) for _, b in pairs]
    w = torch.tensor(weights)
    return torch.einsum("n,nij->ij", w, torch.stack(a)), torch.einsum("n,nij->ij", w, torch.stack(b))


def cut(pair: Pair, rank: int) -> Pair:
    """The best of that rank."""
    u, s, v = torch.linalg.svd(pair[1] @ pair[0], full_matrices=False)
    return s[:rank, None] * v[:rank], u[:, :rank]


def trial(seed: int) -> dict[str, dict[str, Any]]:
    """Of each way: loss and accuracy on the validation part, error of ΔW, energy up to each rank."""
    data, model = load_data(DataConfig()), build_model(ModelConfig(), (1, 8, 8), 10)
    engine, rng = SequentialEngine(model), np.random.default_rng(seed)
    nodes = partition(DataConfig(alpha=0.3), data.train.targets.numpy(), 9, 10, rng)
    state = model.initial_state(seed)
    for hop in range(WARM):  # so that there is something to be adapted
        own = torch.from_numpy(nodes[3 + hop % 6])
        job = LocalTraining(state, hop % 7, data.train, own, LearningConfig(), 2e-3, 100 * seed + hop)
        state = engine.train([job])[0].state
    config = LearningConfig(trains="middle", frozen="bf16", lora=LoraConfig(), epochs=4)
    state = as_handed_on(model, state, config)
    jobs = [
        LocalTraining(
            state, MIDDLE, data.train, torch.from_numpy(nodes[n]), config, 1e-2, seed + n, rank=rank
        )
        for n, rank in enumerate(RANKS)
    ]
    layers = [result.state.layers[MIDDLE + 1] for result in engine.train(jobs)]
    (name,) = [name.removesuffix(A) for name in layers[0] if name.endswith(A)]
    pairs = [(layer[name + A], layer[name + B]) for layer in layers]
    samples = np.array([len(job.indices) for job in jobs], dtype=float)
    weights = (samples / samples.sum()).tolist()
    exact = mean_of_adapters(pairs, weights)
    ways = {
        "stacked": exact,
        "SVD, rank 8": cut(exact, 8),
        "SVD, rank 2": cut(exact, 2),
        "zero padding": padded(pairs, weights),
    }
    dense = torch.stack([w * (b @ a) for w, (a, b) in zip(weights, pairs, strict=True)]).sum(0)
    return {way: judged(engine, state, name, pair, dense, data.validation) for way, pair in ways.items()}


def judged(
    engine: Engine, state: ModelState, name: str, pair: Pair, dense: Tensor, validation: Dataset
) -> dict[str, Any]:
    """What a way comes to."""
    layer = {**state.layers[MIDDLE + 1], name + A: pair[0], name + B: pair[1]}
    found = engine.evaluate([state.replace({MIDDLE + 1: layer})], validation)[0]
    product = pair[1] @ pair[0]
    energy = torch.linalg.svdvals(product).square()
    return {
        "error": float((product - dense).norm() / dense.norm()),
        "energy": [float(energy[:r].sum() / energy.sum()) for r in SHOWN],
        "of_exact": float(energy.sum() / dense.square().sum()),
        "loss": found.loss,
        "accuracy": found.score,
    }


def main() -> None:
    """Try, print a table, keep the raw data."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    trials = [trial(seed) for seed in range(args.seeds)]
    ranks = " | ".join(f"rank {r}" for r in SHOWN)
    print(f"| way | error of ΔW, % | {ranks} | validation loss | less stacked |")
    print("|---" * (5 + len(SHOWN) - 1) + "|")
    for way in trials[0]:
        rows = [t[way] for t in trials]
        energy = np.mean([row["energy"] for row in rows], axis=0)
        loss = [row["loss"] for row in rows]
        less = [row["loss"] - t["stacked"]["loss"] for row, t in zip(rows, trials, strict=True)]
        cells = [mean_and_half([row["error"] for row in rows], 100), *(f"{100 * e:.0f} %" for e in energy)]
        print(
            f"| {way} | " + " | ".join([*cells, mean_and_half(loss, 1, 3), mean_and_half(less, 1, 3)]) + " |"
        )
    if args.out is not None:
        write_json(args.out, trials, indent=1)


if __name__ == "__main__":
    main()
