"""A pairwise policy with a memory, for recurrent PPO: of the context, while pairs are seen as they are."""

from __future__ import annotations

from typing import Any

import torch
from sb3_contrib.common.recurrent.policies import RecurrentMultiInputActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn

from snakegym.agents.hyperparameters import WIDTH
from snakegym.agents.learners.legal import LEGAL_SETTINGS, LegalScorer
from snakegym.agents.policy import build_heads

States = tuple[Tensor, Tensor]


class ContextLSTM(nn.Module):
    """An LSTM over the last `width` of the features, which it adds to them; the others pass by.

    Input and output: [length, B, n_features]. The attributes are those that sb3-contrib asks of an `nn.LSTM`.

    Args:
        n_features: of the extractor.
        width: of the context.
    """

    num_layers = 1

    def __init__(self, n_features: int, width: int) -> None:
        super().__init__()
        self.input_size, self.hidden_size = n_features, width
        self.lstm = nn.LSTM(width, width)

    def forward(self, features: Tensor, states: States) -> tuple[Tensor, States]:
        """See the class."""
        context = features[..., -self.hidden_size :]
        remembered, states = self.lstm(context, states)
        return torch.cat([features[..., : -self.hidden_size], context + remembered], dim=-1), states


class RecurrentPairwisePolicy(RecurrentMultiInputActorCriticPolicy):
    """For RecurrentPPO; takes the arguments of sb3-contrib's recurrent policies."""

    def __init__(
        self, observation_space: Any, action_space: Any, lr_schedule: Schedule, **kwargs: Any
    ) -> None:
        width = kwargs.get("features_extractor_kwargs", {}).get("width", WIDTH)
        more: dict[str, Any] = {**kwargs, **LEGAL_SETTINGS, "lstm_hidden_size": width}
        super().__init__(observation_space, action_space, lr_schedule, **more)
        self.lstm_actor = ContextLSTM(self.features_dim, width)  # type: ignore[assignment]
        self.lstm_critic = ContextLSTM(self.features_dim, width)  # type: ignore[assignment]
        make: Any = self.optimizer_class
        self.optimizer = make(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)

    def _build(self, lr_schedule: Schedule) -> None:
        build_heads(self, lr_schedule, LegalScorer)
