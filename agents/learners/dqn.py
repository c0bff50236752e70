"""DQN that explores and chooses among legal actions alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import DQN
from stable_baselines3.common.noise import ActionNoise
from stable_baselines3.dqn.policies import MultiInputPolicy, QNetwork
from torch import nn

from snakegym.agents.learners.legal import LEGAL, LegalExtractor, LegalScorer
from snakegym.agents.policy import FINISHING
from snakegym.envs.features.pairs import PAIR_FEATURES


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
        weights = exploring(observations["pairs"], int(self.action_space.n))  # type: ignore[attr-defined]
        for i in np.flatnonzero(generator.random(n_envs) < rate):
            actions[i] = generator.choice(weights.shape[1], p=weights[i])
        return actions, actions


def exploring(pairs: NDArray[np.float32], n_actions: int) -> NDArray[np.float64]:
    """[n, n_actions]: with which probability each action is tried out, by what observations say of pairs."""
    legal: NDArray[np.bool_] = pairs.reshape(len(pairs), -1, len(PAIR_FEATURES))[..., LEGAL] > 0
    if legal.shape[1] + 2 != n_actions:  # an action is a node, whatever its layer
        legal = np.any(legal.reshape(len(pairs), n_actions - 2, -1), axis=2)
    ends = np.tile([1.0, np.exp(FINISHING)], (len(pairs), 1))
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
