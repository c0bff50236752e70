"""DQN that explores and chooses among legal actions alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import DQN
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.dqn.policies import MultiInputPolicy, QNetwork
from torch import nn

from snakegym.agents.learners.legal import LegalExtractor, LegalScorer
from snakegym.agents.policy import FINISHING, legal_assignments


class LegalDQN(DQN):
    """DQN whose random actions are legal ones, one environment by itself; finishing is drawn seldom.

    Those of SB3 are any, of all environments at a time, from the global generator. An action that is not
    legal is a wait here, so that most of what is explored would be waiting.
    """

    def _sample_action(
        self, learning_starts: int, action_noise: ActionNoise | None = None, n_envs: int = 1
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        observations: Any = self._last_obs
        actions, _ = self.policy.predict(observations, deterministic=True)
        generator = self.action_space.np_random
        rate = 1.0 if self.num_timesteps < learning_starts else self.exploration_rate
        extractor: Any = self.policy.q_net.features_extractor
        weights = exploring(observations, int(self.action_space.n), extractor.n_ranks)  # type: ignore[attr-defined]
        for i in np.flatnonzero(generator.random(n_envs) < rate):
            actions[i] = generator.choice(weights.shape[1], p=weights[i])
        return actions, actions


def exploring(
    observations: Mapping[str, NDArray[np.float32]], n_actions: int, n_ranks: int = 1
) -> NDArray[np.float64]:
    """[n, n_actions]: with which probability each action is tried out, by what is legal in n observations."""
    tensors = {key: torch.as_tensor(observed) for key, observed in observations.items()}
    legal = legal_assignments(tensors).numpy()
    if legal.shape[1] + 2 != n_actions:  # an action is a node (and a rank), whatever its layer
        by_layer = legal.reshape(len(legal), (n_actions - 2) // n_ranks, -1, n_ranks)
        legal = by_layer.any(axis=2).reshape(len(legal), -1)
    ends = np.tile([1.0, np.exp(FINISHING)], (len(legal), 1))
    weights = np.concatenate([legal, ends], axis=1)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float64)


class PairwiseQPolicy(MultiInputPolicy):
    """For DQN: the value of each pair, whatever their number; takes the arguments of SB3's policies."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs | {"features_extractor_class": LegalExtractor})

    def make_q_net(self) -> QNetwork:
        """As SB3's, with a scorer of pairs, that here has no reason to prefer low layers."""
        network = super().make_q_net()
        extractor = network.features_extractor
        assert isinstance(extractor, LegalExtractor)
        scorer = LegalScorer(extractor, int(self.action_space.n))  # type: ignore[attr-defined]
        nn.init.zeros_(scorer.sequential)
        network.q_net = scorer  # type: ignore[assignment]
        return network
