"""PPO end to end: steps per second with its updates, and the share spent in the environments."""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch
from machine import table

from snakegym.agents.algorithms import make_algorithm
from snakegym.agents.hyperparameters import ROLLOUT_STEPS
from snakegym.envs.sb3 import SerpentineVecEnv

N_ENVS = (1, 4, 16, 64)


class TimedEnv(SerpentineVecEnv):
    """Knows how much CPU time its steps took."""

    spent_s = 0.0

    def step_wait(self) -> Any:
        start = time.process_time()
        result = super().step_wait()
        self.spent_s += time.process_time() - start
        return result


def learn(n_envs: int, rollouts: int = 2) -> dict[str, float]:
    """Maskable PPO as `snakegym train` sets it up, without evaluations."""
    env = TimedEnv(n_envs)
    model = make_algorithm("maskable-ppo", env, 0)
    model.learn(ROLLOUT_STEPS)  # the first optimiser of a process imports for seconds
    env.spent_s, steps = 0.0, rollouts * ROLLOUT_STEPS
    wall, cpu = time.perf_counter(), time.process_time()
    model.learn(steps, reset_num_timesteps=False)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "steps_per_second": round(steps / wall, 2),
        "cpu_ms_a_step": round(cpu / steps * 1e3, 3),
        "env_share": round(env.spent_s / cpu, 3),
    }


def measure() -> dict[str, dict[str, float]]:
    """Number of environments to figures."""
    return {str(n): learn(n) for n in N_ENVS}


def write(result: dict[str, dict[str, float]]) -> str:
    """The figures as markdown."""
    rows = [
        [n, f"{r['steps_per_second']:.1f}", f"{r['cpu_ms_a_step']:.2f}", f"{r['env_share']:.0%}"]
        for n, r in result.items()
    ]
    head = ["environments", "steps/s", "CPU ms a step", "of it in the environments"]
    return "## Maskable PPO end to end, updates included\n\n" + table(head, rows)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    torch.set_num_threads(1)
    print(write(measure()))
