"""Hops a second: sixteen plain PyTorch loops one after the other, and the same hops by the engines.

Run as `python benchmarks/stacked.py [--rounds N] [--model mlp|blocks|vgg] [--gpu] [--json FILE]`. A
hop is the local training of one node of the default scenario and the evaluation of its result. In every round
everybody takes a turn, so that ratios hold on a noisy machine; times are CPU time of one thread,
which with `--gpu` drives a GPU (it waits actively, so that the GPU's time counts too); the plain
loops then run on the GPU as well.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from plain import PlainLoop

from snakegym.data.datasets import Dataset, load_data
from snakegym.data.partition import partition
from snakegym.learning.jobs import Engine, LocalTraining
from snakegym.learning.sequential import SequentialEngine
from snakegym.learning.stacked.engine import StackedEngine
from snakegym.models.layered import LayeredModel
from snakegym.models.zoo import build_model
from snakegym.scenario import DataConfig, LearningConfig, ModelConfig

LOOPS = 16
"""Hops of a round that everybody does; the stack of 64 does four such sets together."""


def plain_hop(plain: PlainLoop, job: LocalTraining) -> tuple[float, float]:
    """Seconds for training and evaluation by hand."""
    start = time.process_time()
    plain.train(job, job.n_batches)
    middle = time.process_time()
    plain.evaluate()
    return middle - start, time.process_time() - middle


def engine_hops(engine: Engine, jobs: Sequence[LocalTraining], validation: Dataset) -> tuple[float, float]:
    """Seconds for training and evaluating all jobs in one call each."""
    start = time.process_time()
    results = engine.train(jobs)
    middle = time.process_time()
    engine.evaluate([result.state for result in results], validation)
    return middle - start, time.process_time() - middle


def make_jobs(model: LayeredModel, data: Dataset, seed: int) -> list[LocalTraining]:
    """Hops of different processes: own network, node, layer, cycle and order of samples."""
    rng = np.random.default_rng(seed)
    config, jobs = LearningConfig(), []
    for _ in range(LOOPS):
        nodes = partition(DataConfig(), data.targets.numpy(), 9, data.n_classes, rng)
        jobs.append(
            LocalTraining(
                state=model.initial_state(int(rng.integers(2**31))),
                middle=int(rng.integers(model.n_middle)),
                data=data,
                indices=torch.from_numpy(nodes[int(rng.integers(9))]),
                config=config,
                learning_rate=config.rate(int(rng.integers(4))),
                seed=int(rng.integers(2**31)),
            )
        )
    return jobs


def measure(name: str, rounds: int, device: str) -> dict[str, dict[str, float]]:
    """Milliseconds a hop, and how many times faster than the plain loops (medians over rounds)."""
    parts = load_data(DataConfig())
    data, validation = parts.train, parts.validation
    there = [Dataset(d.inputs.to(device), d.targets.to(device), d.n_classes) for d in (data, validation)]

    def build() -> LayeredModel:
        return build_model(ModelConfig(name=name), parts.input_shape, parts.n_classes)

    model, plain = build(), PlainLoop(build(), there[1])
    sequential, stacked = SequentialEngine(build()), StackedEngine(build(), device)

    def together(engine: Engine, size: int) -> Callable[[list[LocalTraining]], tuple[float, float]]:
        def run(jobs: list[LocalTraining]) -> tuple[float, float]:
            chunks = [jobs[i : i + size] for i in range(0, len(jobs), size)]
            times = [engine_hops(engine, chunk, validation) for chunk in chunks]
            return sum(t for t, _ in times) / len(jobs), sum(e for _, e in times) / len(jobs)

        return run

    def loops(jobs: list[LocalTraining]) -> tuple[float, float]:
        times = [plain_hop(plain, replace(job, data=there[0])) for job in jobs]
        return sum(t for t, _ in times) / len(jobs), sum(e for _, e in times) / len(jobs)

    runs = {"plain": loops, "sequential": together(sequential, 1)}
    runs |= {f"stacked {n}": together(stacked, n) for n in (1, 4, 16, 64)}
    times: dict[str, list[tuple[float, float]]] = {key: [] for key in runs}
    for i in range(-1, rounds):  # the first round warms up
        jobs = make_jobs(model, data, i + 1)
        more = jobs + [job for extra in range(3) for job in reseeded(model, jobs, extra)]
        for key, run in sorted(runs.items(), reverse=bool(i % 2)):
            seconds = run(more if key == "stacked 64" else jobs)
            if i >= 0:
                times[key].append(seconds)
    return {key: summary(own_times, times["plain"]) for key, own_times in times.items()}


def reseeded(model: LayeredModel, jobs: list[LocalTraining], extra: int) -> list[LocalTraining]:
    """The same nodes and layers, other parameters and orders: as much work again."""
    return [
        replace(job, state=model.initial_state(job.seed + extra), seed=job.seed + 1 + extra) for job in jobs
    ]


def summary(own: list[tuple[float, float]], plain: list[tuple[float, float]]) -> dict[str, float]:
    pairs = list(zip(own, plain, strict=True))
    return {
        "train_ms": statistics.median(t for t, _ in own) * 1e3,
        "evaluate_ms": statistics.median(e for _, e in own) * 1e3,
        "train_ratio": statistics.median(p[0] / o[0] for o, p in pairs),
        "evaluate_ratio": statistics.median(p[1] / o[1] for o, p in pairs),
        "ratio": statistics.median(sum(p) / sum(o) for o, p in pairs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--model", default="mlp", choices=("mlp", "blocks", "vgg"))
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    args = parser.parse_args()
    torch.set_num_threads(1)
    device = "cuda" if args.gpu else "cpu"
    result = measure(args.model, args.rounds, device)
    print(f"{args.model} on {device}, one thread, torch {torch.__version__}, medians of {args.rounds} rounds")
    print(f"{'':12}{'train ms':>10}{'evaluate ms':>13}{'x plain: train':>17}{'evaluate':>10}{'both':>7}")
    for key, row in result.items():
        print(
            f"{key:12}{row['train_ms']:10.2f}{row['evaluate_ms']:13.2f}"
            f"{row['train_ratio']:17.2f}{row['evaluate_ratio']:10.2f}{row['ratio']:7.2f}"
        )
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps({"model": args.model, "device": device, **result}, indent=2) + "\n")


if __name__ == "__main__":
    main()
