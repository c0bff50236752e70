"""How good a policy in training is on validation traces: always the same episodes, masks respected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from snakegym.envs.encoder import Encoded
from snakegym.envs.vector import Member
from snakegym.training.episodes.play import EpisodeRecord, episode_seed, play_together

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
    """Plays the same validation episodes at each call, with the most likely action; scenarios take turns.

    Args:
        members: environments of the split `validation`; as many episodes are played at a time.
        episodes: how many.
        seed: of the training run.
        masked: whether the algorithm takes action masks.
    """

    def __init__(self, members: Sequence[Member], episodes: int, seed: int, masked: bool) -> None:
        self.members = members
        self._seeds = [episode_seed(seed, i, "validation") for i in range(episodes)]
        self._masked = masked
        self.records: Sequence[EpisodeRecord] = ()
        """The episodes of the last call."""

    def __call__(self, model: BaseAlgorithm) -> dict[str, float]:
        """Means over the episodes: METRICS."""
        names = [problem.scenario.name for problem in self.members[0].problems]
        episodes = [(seed, names[i % len(names)]) for i, seed in enumerate(self._seeds)]
        records: list[EpisodeRecord] = []
        for start in range(0, len(episodes), len(self.members)):
            batch = episodes[start : start + len(self.members)]
            records += play_together(
                self.members[: len(batch)], _Player(model, self._masked), *zip(*batch, strict=True)
            )
        self.records = records
        return means(records)


class _Player:
    """A model that plays several episodes, and remembers for each what its policy does."""

    def __init__(self, model: BaseAlgorithm, masked: bool) -> None:
        self._model, self._masked = model, masked
        self._state: tuple[NDArray[np.float32], ...] | None = None
        self._episodes = np.empty(0, np.int64)

    def __call__(
        self, observations: Encoded, masks: NDArray[np.bool_], episodes: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The most likely actions."""
        options: dict[str, Any] = {"action_masks": masks} if self._masked else {}
        state = self._state
        if state is not None:
            going = np.isin(self._episodes, episodes)
            state = tuple(part[:, going] for part in state)
        begins = np.full(len(episodes), state is None)
        actions, self._state = self._model.predict(
            observations,  # type: ignore[arg-type, unused-ignore]
            state=state,
            episode_start=begins,
            deterministic=True,
            **options,
        )
        self._episodes = episodes
        return actions


def means(records: list[EpisodeRecord]) -> dict[str, float]:
    """Mean of each of METRICS over episodes."""
    return {name: float(np.mean([r[name] for r in records])) for name in METRICS}  # type: ignore[literal-required]
