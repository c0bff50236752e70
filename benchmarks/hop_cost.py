"""Time and peak memory of a hop against training the whole model, beside what the cost model predicts.

Times are CPU time of one thread for the same batches, in turns, medians. Memory is what torch's allocator
handed out on top of the weights (and of the data) at the worst moment, as its profiler saw it; the
library that does convolutions has scratch space of its own, which is not in it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from machine import table
from torch import Tensor, nn
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from snakegym.data.datasets import Dataset
from snakegym.learning.jobs import LocalTraining
from snakegym.learning.sequential import SequentialEngine
from snakegym.models.layered import LayeredModel
from snakegym.models.profile import ModelProfile, profile_model
from snakegym.models.zoo import build_model
from snakegym.network.costs import hop_memory, training_flops
from snakegym.scenario import LearningConfig, ModelConfig

BATCH = 32


class Patches(nn.Module):
    """Images [n, 3, 32, 32] as 64 tokens [n, 64, width]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(3, width, 4, 4)

    def forward(self, x: Tensor) -> Tensor:
        tokens: Tensor = self.project(x).flatten(2).transpose(1, 2)
        return tokens


class Block(nn.Module):
    """A transformer block that normalises first."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(self.norms[0](x)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = x + self.out(functional.scaled_dot_product_attention(*qkv).transpose(1, 2).flatten(2))
        x = x + self.down(functional.gelu(self.up(self.norms[1](x))))
        return x


class Head(nn.Module):
    """The mean of all tokens, classified."""

    def __init__(self, width: int, n_classes: int) -> None:
        super().__init__()
        self.norm, self.classify = nn.LayerNorm(width), nn.Linear(width, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.norm(x).mean(1))
        return logits


def transformer(width: int = 128, depth: int = 6) -> LayeredModel:
    """A small vision transformer, a block a middle layer."""
    return LayeredModel([Patches(width), *(Block(width) for _ in range(depth)), Head(width, 10)])


def models() -> dict[str, tuple[LayeredModel, tuple[int, ...], int, int]]:
    """Name to model, input shape, and batches and repeats of a measurement."""
    image = (3, 32, 32)
    return {
        "default (perceptron)": (build_model(ModelConfig(), (1, 8, 8), 10), (1, 8, 8), 20, 9),
        "VGG-11": (build_model(ModelConfig(name="vgg11"), image, 10), image, 1, 5),
        "transformer": (transformer(), image, 2, 7),
    }


def make_job(
    model: LayeredModel, shape: tuple[int, ...], batches: int, layers: tuple[int, ...]
) -> LocalTraining:
    """So many batches of noise for these layers."""
    n = BATCH * batches
    generator = torch.Generator().manual_seed(0)
    data = Dataset(torch.randn(n, *shape, generator=generator), torch.arange(n) % 10, 10)
    config = LearningConfig(epochs=1, batch_size=BATCH)
    return LocalTraining(model.initial_state(0), 0, data, torch.arange(n), config, 1e-3, 0, layers=layers)


def peak_bytes(engine: SequentialEngine, job: LocalTraining, trained_bytes: float) -> float:
    """Most bytes that torch held at a time while the job was trained, beyond what it held before.

    The simulation keeps the model as received beside the trained one, which a node would overwrite:
    that copy is not counted.
    """
    engine.model.load(job.state)  # what an earlier job trained is freed now, not while we look
    with silence(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        engine.train([job])
    held = peak = 0
    for event in profiler.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak - trained_bytes


@contextmanager
def silence() -> Iterator[None]:
    """Keeps what the profiler's library writes to standard error to itself."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def measure_model(
    model: LayeredModel, shape: tuple[int, ...], batches: int, repeats: int
) -> list[dict[str, float]]:
    """A row for the first, the central and the last middle layer."""
    engine, costs = SequentialEngine(model), profile_model(model, torch.zeros(shape))
    full = tuple(range(model.n_layers))
    middles = sorted({0, model.n_middle // 2, model.n_middle - 1})
    jobs = {m: make_job(model, shape, batches, costs.trained().of(m)) for m in middles}
    jobs[-1] = make_job(model, shape, batches, full)
    times: dict[int, list[float]] = {m: [] for m in jobs}
    for i in range(repeats + 1):
        for m in sorted(jobs, reverse=bool(i % 2)):
            start = time.process_time()
            engine.train([jobs[m]])
            if i:  # the first round warms up
                times[m].append(time.process_time() - start)
    forward = costs.forward_flops.tolist()
    # The optimiser's state is there from the second batch on.
    pairs = {m: make_job(model, shape, 2, job.layers or ()) for m, job in jobs.items()}
    full_peak = peak_bytes(engine, pairs[-1], costs.n_bytes.sum())
    rows = []
    for m in middles:
        measured = statistics.median(a / b for a, b in zip(times[m], times[-1], strict=True))
        predicted = training_flops(forward, costs.trained().of(m)) / training_flops(forward, full)
        formula = above_weights(costs, costs.trained().of(m))
        peak = peak_bytes(engine, pairs[m], costs.n_bytes[list(costs.trained().of(m))].sum())
        rows.append(
            {
                "middle": m,
                "hop_ms_a_batch": round(statistics.median(times[m]) / batches * 1e3, 3),
                "full_ms_a_batch": round(statistics.median(times[-1]) / batches * 1e3, 3),
                "time_share": round(measured, 4),
                "flop_share": round(predicted, 4),
                "time_to_prediction": round(measured / predicted, 3),
                "peak_mb": round(peak / 1e6, 3),
                "formula_mb": round(formula / 1e6, 3),
                "peak_to_formula": round(peak / formula, 3),
                "full_peak_mb": round(full_peak / 1e6, 3),
            }
        )
    return rows


def above_weights(costs: ModelProfile, trained: Sequence[int]) -> float:
    """What the memory formula says a hop needs beside the weights."""
    activations = costs.frozen_activation_bytes.copy()
    activations[list(trained)] = costs.activation_bytes[list(trained)]
    sizes, scratch = costs.n_bytes.tolist(), costs.scratch_bytes.max()
    memory = hop_memory(sizes, activations.tolist(), trained, BATCH, "adam", scratch_bytes=scratch)
    return float(memory - sum(sizes))


def measure() -> dict[str, list[dict[str, float]]]:
    """Name of the model to rows."""
    return {name: measure_model(*model) for name, model in models().items()}


def write(result: dict[str, list[dict[str, float]]]) -> str:
    """The figures as markdown."""
    rows = [
        [
            f"{name}, middle layer {r['middle']}",
            f"{r['hop_ms_a_batch']:.1f}",
            f"{r['full_ms_a_batch']:.1f}",
            f"{r['time_share']:.1%}",
            f"{r['flop_share']:.1%}",
            f"{r['time_to_prediction']:.2f}",
            f"{r['peak_mb']:.2f}",
            f"{r['full_peak_mb']:.2f}",
            f"{r['formula_mb']:.2f}",
            f"{r['peak_to_formula']:.2f}",
        ]
        for name, own in result.items()
        for r in own
    ]
    head = ["", "hop ms", "full ms", "share", "FLOP share", "x", "peak MB", "full MB", "formula MB", "x"]
    title = f"## A hop against training all layers, one batch of {BATCH}, memory beside the weights"
    return f"{title}\n\n{table(head, rows)}"


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    torch.set_num_threads(1)
    print(write(measure()))
