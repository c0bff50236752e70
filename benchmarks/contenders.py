"""Who takes turns in `throughput.py`: a plain PyTorch loop and environments of every kind."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from plain import PlainLoop
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv

from snakegym.control.records import Outcome
from snakegym.envs.sb3 import SerpentineVecEnv
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.envs.workers import SerpentineWorkers
from snakegym.learning.jobs import LocalTraining
from snakegym.learning.stacked.engine import EngineKind


@dataclass
class Turn:
    """Hops done, and the seconds they took: on the clock, and of this process's CPU time."""

    hops: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0

    def __add__(self, other: Turn) -> Turn:
        return Turn(self.hops + other.hops, self.wall_s + other.wall_s, self.cpu_s + other.cpu_s)

    @property
    def per_second(self) -> float:
        return self.hops / self.wall_s


def clock(hops: int, do: Callable[[], object]) -> tuple[Turn, Any]:
    """Time a piece of work that does so many hops."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = do()
    return Turn(hops, time.perf_counter() - wall, time.process_time() - cpu), result


class SingleAgainstPlain:
    """One environment and the plain loop, hop by hop the same training."""

    def __init__(self, seed: int) -> None:
        self.env = SerpentineEnv()
        service = self.env.service
        self.plain = PlainLoop(copy.deepcopy(service.model), service.data.validation)
        self.rng = np.random.default_rng(seed)
        self.env.reset(seed=seed)
        self.ratios: list[float] = []
        """CPU time of the environment's step by that of the plain loop's, hop by hop."""

    def turn(self, hops: int) -> dict[str, Turn]:
        """That many hops of both; resets and waits count as the environment's time."""
        own, plain = Turn(), Turn()
        while own.hops < hops:
            if self.env.controller.ended:
                own += clock(0, self.env.reset)[0]
            legal = np.flatnonzero(self.env.action_masks()[: self.env.codec.wait])
            if len(legal) == 0:
                own += clock(0, lambda: self.env.step(self.env.codec.wait))[0]
                continue
            step, done = clock(1, lambda: self._step(int(self.rng.choice(legal))))  # noqa: B023
            loop, _ = clock(1, lambda: self._by_hand(*done))  # noqa: B023
            self.ratios.append(step.cpu_s / loop.cpu_s)
            own, plain = own + step, plain + loop
        return {"single_env": own, "plain_loop": plain}

    def _step(self, action: int) -> tuple[LocalTraining, Outcome]:
        job = self.env.begin(action)
        assert job is not None
        training = self.env.executor.training(job)  # afterwards the layers that it begins with are gone
        outcome = self.env.executor.run(job)
        self.env.finish(outcome)
        return training, outcome

    def _by_hand(self, training: LocalTraining, outcome: Outcome) -> None:
        self.plain.train(training, outcome.batches)
        if outcome.delivered:
            self.plain.evaluate()


class Vectorised:
    """Random legal hops on SB3's `VecEnv`; a step in which a process can only wait is no hop."""

    def __init__(self, env: VecEnv, seed: int) -> None:
        self.env = env
        self.rng = np.random.default_rng(seed)
        env.seed(seed)
        env.reset()
        self.masks = np.array(env.env_method("action_masks"))

    def turn(self, hops: int) -> Turn:
        """That many hops or somewhat more."""
        total = Turn()
        while total.hops < hops:
            able = int(self.masks[:, :-2].any(axis=1).sum())
            total += clock(able, self._step)[0]
        return total

    def _step(self) -> None:
        wait = ~self.masks[:, :-2].any(axis=1)
        scores = self.rng.random(self.masks.shape) * self.masks
        scores[~wait, -2] = 0.0
        scores[:, -1] = 0.0  # nobody finishes
        _, _, dones, infos = self.env.step(scores.argmax(axis=1))
        for i, (done, info) in enumerate(zip(dones, infos, strict=True)):
            self.masks[i] = (self.env.reset_infos[i] if done else info)["action_mask"]


def _one_thread_env(engine: EngineKind = "stacked") -> SerpentineEnv:
    torch.set_num_threads(1)
    return SerpentineEnv(engine=engine)


VECTORISED: dict[str, Callable[[], VecEnv]] = {
    "sequential_16": lambda: SerpentineVecEnv(16, engine="sequential"),
    "dummy_vec": lambda: DummyVecEnv([SerpentineEnv] * 16),
    "subproc_2": lambda: SubprocVecEnv([_one_thread_env] * 2),
    "subproc_2_sequential": lambda: SubprocVecEnv([partial(_one_thread_env, "sequential")] * 2),
    "stacked_4": lambda: SerpentineVecEnv(4),
    "stacked_16": lambda: SerpentineVecEnv(16),
    "stacked_64": lambda: SerpentineVecEnv(64),
    "workers_2x8": lambda: SerpentineWorkers(2, 16),
    "workers_2x16": lambda: SerpentineWorkers(2, 32),
    "workers_2x32": lambda: SerpentineWorkers(2, 64),
}
"""Key in the table to a constructor; `dummy_vec` is SB3's own, with 16 environments."""
