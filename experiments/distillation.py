"""Does distillation help against forgetting? Serpentine training on Non-IID digits, with and without.

    python experiments/distillation.py --model mlp --seeds 10 --out experiments/data/distillation-mlp.json

No network: 36 hops, node h mod 9 trains middle layer h mod 7. Every seed draws partition, initial model
and orders of samples, which all settings share, so differences are paired.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from snakegym.control.nodes.holdings import LABEL_MEMORY
from snakegym.data.datasets import Dataset, load_data
from snakegym.data.divergence import js_distance
from snakegym.data.partition import label_counts, partition
from snakegym.learning.jobs import LocalTraining
from snakegym.learning.sequential import SequentialEngine
from snakegym.models.layered import LayeredModel
from snakegym.models.state import ModelState
from snakegym.models.zoo import build_model
from snakegym.scenario import DataConfig, DistillationConfig, LearningConfig, ModelConfig
from snakegym.training.analysis.intervals import mean_and_half

NODES, HOPS = 9, 36
SETTINGS = {
    "mlp": [(0.0, 2.0, w) for w in (0.1, 0.3, 1.0, 3.0, 10.0)]
    + [(0.0, t, 1.0) for t in (1.0, 4.0)]
    + [(t, 2.0, 1.0) for t in (0.5, 0.7)],
    "vgg": [(0.0, 2.0, 0.3), (0.0, 2.0, 1.0), (0.0, 2.0, 3.0), (0.5, 2.0, 1.0)],
}
"""Threshold, temperature, weight."""
RATES = (2e-3, 1e-3, 5e-4)
"""Learning rates without distillation; the first goes with all else. Smaller steps forget less too."""


def run(model_name: str, alpha: float, seed: int, config: LearningConfig) -> dict[str, float]:
    """One training: accuracies on the test part."""
    data = load_data(DataConfig())
    rng = np.random.default_rng(seed)
    labels = data.train.targets.numpy()
    nodes = partition(DataConfig(alpha=alpha), labels, NODES, data.n_classes, rng)
    shares = label_counts(nodes, labels, data.n_classes)
    shares = shares / shares.sum(1, keepdims=True)
    recent = np.average(shares, axis=0, weights=[len(n) for n in nodes])
    model = build_model(ModelConfig(name=model_name), data.input_shape, data.n_classes)
    engine, state = SequentialEngine(model), model.initial_state(seed)
    distillation = config.distillation
    before = per_class(model, state, data.test)
    path, forgotten, learned, on = [], [], [], 0
    for hop in range(HOPS):
        node = hop % NODES
        distil = distillation is not None and js_distance(shares[node], recent) >= distillation.threshold
        on += bool(distil)
        job = LocalTraining(
            state,
            hop % model.n_middle,
            data.train,
            torch.from_numpy(nodes[node]),
            config,
            config.rate(hop // model.n_middle),
            seed=1000 * seed + hop,
        )
        state = engine.train([replace(job, distil=bool(distil))])[0].state
        recent = LABEL_MEMORY * recent + (1 - LABEL_MEMORY) * shares[node]
        after = per_class(model, state, data.test)
        absent = shares[node] == 0
        if absent.any():
            forgotten.append(float((before - after)[absent].mean()))
        learned.append(float((after - before)[~absent].mean()))
        path.append(engine.evaluate([state], data.test)[0].score)
        before = after
    return {
        "final": path[-1],
        "round": float(np.mean(path[-NODES:])),
        "worst": float(np.min(path[-NODES:])),
        "forgotten": float(np.mean(forgotten)),
        "learned": float(np.mean(learned)),
        "on": on / HOPS,
    }


def per_class(model: LayeredModel, state: ModelState, data: Dataset) -> np.ndarray:
    """Accuracy on each label."""
    model.load(state)
    with torch.no_grad():
        right = (model(data.inputs).argmax(1) == data.targets).numpy()
    return np.array([right[data.targets.numpy() == c].mean() for c in range(data.n_classes)])


def main() -> None:
    """Run all settings and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=SETTINGS, default="mlp")
    parser.add_argument("--alpha", type=float, default=0.1)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, list[dict[str, float]]] = {}
    print(
        "| threshold, T, weight | hops distilled | final | mean of last round | paired difference | "
        "worst of last round | forgotten a hop | learned a hop |"
    )
    print("|---|---|---|---|---|---|---|---|")
    configs = {f"off, rate {rate:g}": LearningConfig(learning_rate=rate) for rate in RATES}
    for threshold, temperature, weight in SETTINGS[args.model]:
        distillation = DistillationConfig(threshold=threshold, temperature=temperature, weight=weight)
        configs[f"{threshold:g}, {temperature:g}, {weight:g}"] = LearningConfig(
            learning_rate=RATES[0], distillation=distillation
        )
    for name, config in configs.items():
        rows = results[name] = [run(args.model, args.alpha, seed, config) for seed in range(args.seeds)]
        off = next(iter(results.values()))
        paired = [r["round"] - o["round"] for r, o in zip(rows, off, strict=True)]
        cells = [mean_and_half([r[key] for r in rows], 100) for key in ("final", "round")]
        cells += ["" if rows is off else mean_and_half(paired, 100)]
        cells += [mean_and_half([r[key] for r in rows], 100) for key in ("worst", "forgotten", "learned")]
        print(f"| {name} | {np.mean([r['on'] for r in rows]):.0%} | " + " | ".join(cells) + " |", flush=True)
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps({"arguments": {**vars(args), "out": None}, "runs": results}, indent=1))


if __name__ == "__main__":
    main()
