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
from snakegym.agents.policy import (
    NEVER,
    SETTINGS,
    PairExtractor,
    PairScorer,
    build_heads,
    legal_assignments,
)


class LegalExtractor(PairExtractor):
    """As `PairExtractor`, and before its output [N * M * R] whether each pair, with each rank, is legal.

    Args:
        observation_space: see `ViewEncoder`.
        width: of every hidden layer of the policy.
    """

    def __init__(self, observation_space: spaces.Dict, width: int = WIDTH) -> None:
        super().__init__(observation_space, width)
        self._features_dim += self.n_assignments

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """See the class."""
        return torch.cat([legal_assignments(observations).float(), super().forward(observations)], dim=1)


class LegalScorer(PairScorer):
    """As `PairScorer`, from the output of a `LegalExtractor`; waiting and finishing always are legal."""

    def __init__(self, features: PairExtractor, n_actions: int) -> None:
        super().__init__(features, n_actions)
        self.n_pairs = features.n_assignments

    def forward(self, features: Tensor) -> Tensor:
        """[B, n_actions]."""
        legal = features[:, : self.n_pairs].reshape(-1, *self.shape[:3]) > 0
        assignments = (legal if self.pairs else legal.any(dim=2)).flatten(1)
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
