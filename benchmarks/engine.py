"""Overhead of the engine: the same hops by SequentialEngine and by a plain PyTorch loop, in turns.

Run as `python benchmarks/engine.py [hops]`. Times are CPU time of one thread, so that other load on
the machine counts little.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from snakegym.data.datasets import load_data
from snakegym.data.partition import partition
from snakegym.learning.jobs import LocalTraining
from snakegym.learning.sequential import SequentialEngine
from snakegym.models.zoo import build_model
from snakegym.scenario import DataConfig, LearningConfig, ModelConfig


def plain_loop(model: nn.Module, parameters: list[nn.Parameter], job: LocalTraining) -> None:
    """What a user would write: the same number of batches on the same layers."""
    optimizer = torch.optim.Adam(parameters, lr=job.learning_rate, fused=True)
    for _ in range(job.config.epochs):
        for batch in job.indices[torch.randperm(len(job.indices))].split(job.config.batch_size):
            loss = functional.cross_entropy(model(job.data.inputs[batch]), job.data.targets[batch])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, job.config.clip_norm)
            optimizer.step()


def clock(function: Callable[[], object]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def median_ms(seconds: Sequence[float]) -> float:
    return statistics.median(seconds) * 1e3


def main(hops: int) -> None:
    torch.set_num_threads(1)
    data = load_data(DataConfig())
    nodes = partition(DataConfig(), data.train.targets, 9, data.n_classes, np.random.default_rng(0))
    engine = SequentialEngine(build_model(ModelConfig(), data.input_shape, data.n_classes))
    plain = build_model(ModelConfig(), data.input_shape, data.n_classes)
    state = plain.initial_state(0)
    warm = LocalTraining(state, 0, data.train, torch.arange(8), LearningConfig(), 1e-3, 0)
    engine.train([warm])  # the first optimiser of a process imports for seconds
    times: list[tuple[float, float]] = []
    batches = 0
    for hop in range(hops):
        middle, config = hop % plain.n_middle, LearningConfig()
        indices = torch.from_numpy(nodes[hop % 9])
        job = LocalTraining(state, middle, data.train, indices, config, config.learning_rate, hop)
        plain.requires_grad_(False)
        trained = [plain.layers[i] for i in (0, middle + 1, plain.n_layers - 1)]
        parameters = [p.requires_grad_(True) for layer in trained for p in layer.parameters()]
        runs = [lambda: plain_loop(plain, parameters, job), lambda: engine.train([job])]  # noqa: B023
        if hop % 2:  # whoever comes second finds warmer caches
            times.append((clock(runs[0]), clock(runs[1])))
        else:
            times.append((clock(runs[1]), clock(runs[0]))[::-1])
        batches += job.n_batches
    loops, engines = zip(*times, strict=True)
    ratio = statistics.median(e / p for p, e in times)
    print(f"plain loop  {median_ms(loops):6.2f} ms a hop, {sum(loops) / batches * 1e3:.3f} a batch")
    print(f"engine      {median_ms(engines):6.2f} ms a hop, {sum(engines) / batches * 1e3:.3f} a batch")
    print(f"ratio of the same hop, median: {ratio:.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
