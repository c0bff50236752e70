"""Environment steps per second beside a plain PyTorch loop that does the same training.

Both take turns within one run, hop by hop, so that their ratio holds on a noisy machine. The plain
loop trains the same batches on the same layers and evaluates as often, and does nothing else.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch
from torch import nn
from torch.nn import functional

import snakegym  # noqa: F401  (registers the environments)
from snakegym.learning.jobs import LocalTraining


class PlainLoop:
    """What one would write by hand: a model, an optimiser over three layers, a loop."""

    def __init__(self, model: nn.Module, validation) -> None:
        self.model = model
        self.validation = validation

    def hop(self, job: LocalTraining) -> float:
        layers = list(self.model.layers)
        self.model.requires_grad_(False)
        trained = [p for i in (0, job.middle + 1, -1) for p in layers[i].parameters()]
        for parameter in trained:
            parameter.requires_grad_(True)
        optimizer = torch.optim.Adam(trained, lr=job.learning_rate, fused=True)
        for _ in range(job.config.epochs):
            order = job.indices[torch.randperm(len(job.indices))]
            for batch in order.split(job.config.batch_size):
                loss = functional.cross_entropy(self.model(job.data.inputs[batch]), job.data.targets[batch])
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(trained, job.config.clip_norm)
                optimizer.step()
        with torch.no_grad():
            right = self.model(self.validation.inputs).argmax(1) == self.validation.targets
        return right.float().mean().item()


def measure(hops: int, seed: int) -> dict[str, float]:
    """Seconds a hop, medians over `hops` random legal hops of the default scenario."""
    env = gym.make("snakegym/Serpentine-v0").unwrapped
    rng = np.random.default_rng(seed)
    env.reset(seed=seed)
    own = snakegym_model(env)
    plain = PlainLoop(own, env.service.data.validation)
    times: dict[str, list[float]] = {"env": [], "plain": [], "reset": []}
    while len(times["env"]) < hops:
        if env.controller.ended:
            start = time.perf_counter()
            env.reset()
            times["reset"].append(time.perf_counter() - start)
        legal = np.flatnonzero(env.action_masks()[:-1])
        if len(legal) == 0:
            env.step(env.codec.wait)
            continue
        action = int(rng.choice(legal))
        start = time.perf_counter()
        job = env.begin(action)
        env.finish(env.executor.run(job))
        middle = time.perf_counter()
        plain.hop(job.training)
        times["env"].append(middle - start)
        times["plain"].append(time.perf_counter() - middle)
    total = {name: float(np.sum(values)) for name, values in times.items()}
    ratios = np.array(times["env"]) / np.array(times["plain"])
    return {
        "single_env": hops / (total["env"] + total["reset"]),
        "plain_loop": hops / total["plain"],
        "ratio_median_per_hop": float(np.median(ratios)),
        "ratio_total_with_resets": (total["env"] + total["reset"]) / total["plain"],
    }


def snakegym_model(env) -> nn.Module:
    """A model of the scenario's architecture for the plain loop's own use."""
    import copy

    model = copy.deepcopy(env.service.model)
    state = model.initial_state(0)
    model.load(type(state)(tuple({k: v.clone() for k, v in layer.items()} for layer in state.layers)))
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hops", type=int, default=600)
    parser.add_argument("--quick", action="store_true", help="150 hops")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    args = parser.parse_args()
    torch.set_num_threads(1)
    measure(30, args.seed)  # warm up
    result = measure(150 if args.quick else args.hops, args.seed)
    machine = (
        f"{platform.machine()}, {platform.processor() or 'unknown processor'}, torch {torch.__version__}"
    )
    print(f"one thread, default scenario, {machine}")
    print(f"plain PyTorch loop   {result['plain_loop']:8.1f} hops/s")
    print(f"environment          {result['single_env']:8.1f} steps/s (resets included)")
    print(f"time against plain   {result['ratio_median_per_hop']:8.3f} (median over hops)")
    print(f"                     {result['ratio_total_with_resets']:8.3f} (total, resets included)")
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps({"machine": machine, **result}, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
