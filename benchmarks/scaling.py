"""What a step costs with more nodes or layers, split into training and everything else."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
from machine import table

import snakegym
from snakegym.data.datasets import Dataset
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.learning.jobs import Engine, Evaluation, LocalTraining, TrainingResult
from snakegym.models.state import ModelState
from snakegym.scenario import Scenario

NODES = (9, 32, 100, 320, 1000)
LAYERS = (9, 16, 32, 64)
"""Of the whole model, first and last included."""
BOTH = ((100, 9), (1000, 32))
STEPS = 60


T = TypeVar("T")


class TimedEngine:
    """An engine that knows how much CPU time it took."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.spent_s = engine, 0.0

    def train(self, jobs: Sequence[LocalTraining]) -> list[TrainingResult]:
        return self._time(lambda: self.engine.train(jobs))

    def evaluate(self, states: Sequence[ModelState], data: Dataset) -> list[Evaluation]:
        return self._time(lambda: self.engine.evaluate(states, data))

    def _time(self, do: Callable[[], T]) -> T:
        start = time.process_time()
        result = do()
        self.spent_s += time.process_time() - start
        return result


def scenario(nodes: int, layers: int) -> Scenario:
    """The default scenario with so many nodes and layers, and data spread evenly."""
    base = snakegym.load_scenario("default")
    budget = base.process.budget.model_copy(update={"time_s": 1e6})
    devices = [d.model_copy(update={"memory_bytes": 1e8}) for d in base.network.devices]
    return base.model_copy(
        update={
            "data": base.data.model_copy(update={"partition": "iid"}),
            "model": base.model.model_copy(update={"options": {"width": 16, "middle": layers - 2}}),
            "network": base.network.model_copy(update={"nodes": nodes, "devices": tuple(devices)}),
            "process": base.process.model_copy(update={"budget": budget}),
        }
    )


def measure_one(nodes: int, layers: int, steps: int = STEPS) -> dict[str, float]:
    """Random legal steps of one environment."""
    env = SerpentineEnv(scenario(nodes, layers))
    env.reset(seed=0)
    env.executor.engine = engine = TimedEngine(env.executor.engine)
    rng = np.random.default_rng(0)
    rest: list[float] = []
    wall = 0.0
    for step in range(steps + 10):
        legal = np.flatnonzero(env.action_masks()[: env.codec.wait])
        action = int(rng.choice(legal)) if len(legal) else env.codec.wait
        engine.spent_s = 0.0
        start, cpu = time.perf_counter(), time.process_time()
        env.step(action)
        env.action_masks()
        if step >= 10:
            wall += time.perf_counter() - start
            rest.append(time.process_time() - cpu - engine.spent_s)
    return {
        "nodes": nodes,
        "layers": layers,
        "steps_per_second": round(steps / wall, 2),
        "not_training_ms": round(float(np.median(rest)) * 1e3, 3),
    }


def measure() -> list[dict[str, float]]:
    """One row a size; every size once."""
    sizes = dict.fromkeys([*((n, 9) for n in NODES), *((9, k) for k in LAYERS), *BOTH])
    return [measure_one(*size) for size in sizes]


def write(result: list[dict[str, float]]) -> str:
    """The figures as markdown."""
    rows = [
        [f"{r['nodes']} nodes", r["layers"], f"{r['steps_per_second']:.1f}", f"{r['not_training_ms']:.2f}"]
        for r in result
    ]
    head = ["", "layers", "steps/s", "CPU ms a step beside training (median)"]
    return "## Scaling (width 16, digits spread evenly: with more nodes a hop trains less)\n\n" + table(
        head, rows
    )


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    torch.set_num_threads(1)
    print(write(measure()))
