"""A pairwise policy that takes the mask from the observation, for algorithms that are given none.

An observation says of each pair whether it is legal, so this is nothing but a rule of the network: what is
not legal gets a score so low that it is never chosen, while acting as well as while learning from it.
"""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor

from snakegym.agents.hyperparameters import WIDTH
from snakegym.agents.policy import NEVER, SETTINGS, PairExtractor, PairScorer, build_heads
from snakegym.envs.features.pairs import PAIR_FEATURES

LEGAL = PAIR_FEATURES.index("legal")


class LegalExtractor(PairExtractor):
    """As `PairExtractor`, and before its output [N * M] whether each pair is legal.

    Args:
        observation_space: see `ViewEncoder`.
        width: of every hidden layer of the policy.
    """

    def __init__(self, observation_space: spaces.Dict, width: int = WIDTH) -> None:
        super().__init__(observation_space, width)
        self._features_dim += self.n_nodes * self.n_layers

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """See the class."""
        pairs = observations["pairs"].reshape(len(observations["pairs"]), -1, len(PAIR_FEATURES))
        return torch.cat([pairs[..., LEGAL], super().forward(observations)], dim=1)


class LegalScorer(PairScorer):
    """As `PairScorer`, from the output of a `LegalExtractor`; waiting and finishing always are legal."""

    def __init__(self, features: PairExtractor, n_actions: int) -> None:
        super().__init__(features, n_actions)
        self.n_pairs = features.n_nodes * features.n_layers

    def forward(self, features: Tensor) -> Tensor:
        """[B, n_actions]."""
        legal = features[:, : self.n_pairs].reshape(-1, *self.shape[:2]) > 0
        assignments = legal.flatten(1) if self.pairs else legal.any(dim=2)
        always = assignments.new_ones(len(assignments), 2)
        scores = super().forward(features[:, self.n_pairs :])
        return scores.masked_fill(~torch.cat([assignments, always], dim=1), NEVER)


LEGAL_SETTINGS: dict[str, Any] = SETTINGS | {"features_extractor_class": LegalExtractor}


class LegalPairwisePolicy(ActorCriticPolicy):
    """For A2C and other algorithms with SB3's actor-critic policies; takes their arguments."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs | LEGAL_SETTINGS)

    def _build(self, lr_schedule: Schedule) -> None:
        build_heads(self, lr_schedule, LegalScorer)
