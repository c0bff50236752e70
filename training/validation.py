"""How good a policy in training is on validation traces: always the same episodes, masks respected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from envs.encoder import Encoded
from envs.serpentine import SerpentineEnv
from training.episodes import EpisodeRecord, episode_seed, play

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

METRICS = (
    "total_reward",
    "validation_accuracy",
    "time_s",
    "energy_j",
    "n_bytes",
    "hops",
    "interruptions",
    "illegal",
)


class Validator:
    """Plays the same validation episodes at each call, with the most likely action.

    Args:
        env: of the split `validation`.
        episodes: how many.
        seed: of the training run.
        masked: whether the algorithm takes action masks.
    """

    def __init__(self, env: SerpentineEnv, episodes: int, seed: int, masked: bool) -> None:
        self._env = env
        self._seeds = [episode_seed(seed, i, "validation") for i in range(episodes)]
        self._masked = masked

    def __call__(self, model: BaseAlgorithm) -> dict[str, float]:
        """Means over the episodes: METRICS."""
        records = [play(self._env, lambda o: self._act(model, o), i, s) for i, s in enumerate(self._seeds)]
        return means(records)

    def _act(self, model: BaseAlgorithm, observation: Encoded) -> int:
        masks: dict[str, Any] = {"action_masks": self._env.action_masks()} if self._masked else {}
        action, _ = model.predict(observation, deterministic=True, **masks)  # type: ignore[arg-type, unused-ignore]
        return int(action)


def means(records: list[EpisodeRecord]) -> dict[str, float]:
    """Mean of each of METRICS over episodes."""
    return {name: float(np.mean([r[name] for r in records])) for name in METRICS}  # type: ignore[literal-required]
