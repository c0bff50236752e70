"""A policy network that scores pairs of node and layer, whatever their numbers.

A fully connected network would take "node 3, layer 2" for something else than "node 5, layer 2" and
would have to learn the same thing for each of them. Here a pair is described by the features of its node,
of its layer and of the two together: renumbering the nodes renumbers the scores and changes nothing else,
and what was learned about one pair holds for all. The same weights work for any number of nodes and layers.

The policy begins with a preference for the lowest open layer (sequential order, which the paper finds
best: "Snake Learning: A Communication- and Computation-Efficient Distributed Learning Framework
for 6G", DOI 10.1109/MCOM.005.2400282). Its strength is learned. Without it the probability of a node
is spread over all layers, and the most likely single action is often to wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn

from snakegym.agents.hyperparameters import WIDTH
from snakegym.envs.features.layers import LAYER_FEATURES
from snakegym.envs.features.nodes import NODE_FEATURES
from snakegym.envs.features.pairs import PAIR_FEATURES
from snakegym.envs.features.process import PROCESS_FEATURES
from snakegym.envs.features.ranks import RANK_FEATURES

SEQUENTIAL = 2.0
"""First strength of the preference for low layers: an open one is e**2 times as likely as the next."""
NEVER = -1e8
"""Logit of an action that is not legal, as sb3-contrib has it: its probability is 0."""
FINISHING = -3.0
"""First logit of finishing: as likely as any pair it would end episodes before there is much to learn."""


class PairExtractor(BaseFeaturesExtractor):
    """Embeds pairs one by one, and the whole as context.

    Input: the Dict observation, nodes [B, N * F], layers [B, M * G], pairs [B, N * M * P], process [B, H],
    and ranks [B, N * M * R * Q], where the agent chooses among R ranks; else R = 1 in what follows.
    Output: [B, N * M * R * (width + 1) + width]: the embedding of each pair (with each rank) and the place
    of its layer in the order (0 for the lowest open one, -1 for the next, -M for those that are not open),
    and the context, flattened because SB3 hands on one flat tensor. The context is made of the process, the
    means of nodes and layers that exist, and the largest of what the legal pairs have in each of their
    numbers.

    Args:
        observation_space: see `ViewEncoder`.
        width: of every hidden layer of the policy.
    """

    def __init__(self, observation_space: spaces.Dict, width: int = WIDTH) -> None:
        self.n_nodes, self.n_layers = _counts(observation_space)
        self.width = width
        n_pairs, offered = self.n_nodes * self.n_layers, observation_space.spaces.get("ranks")
        self.n_ranks = (offered.shape or (0,))[0] // (n_pairs * len(RANK_FEATURES)) if offered else 1
        self.n_assignments = n_pairs * self.n_ranks
        super().__init__(observation_space, features_dim=self.n_assignments * (width + 1) + width)
        process_dim = len(PROCESS_FEATURES)
        self.node = _mlp(len(NODE_FEATURES) + process_dim, width)
        self.layer = _mlp(len(LAYER_FEATURES) + process_dim, width)
        self.pair = _linear(len(PAIR_FEATURES), width)
        self.of_node, self.of_layer = _linear(width, width), _linear(width, width)
        self.context = _mlp(3 * width + process_dim, width)
        self.rank = _linear(len(RANK_FEATURES), width) if offered else None

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """See the class."""
        process, batch = observations["process"], len(observations["process"])
        raw_layers = _rows(observations["layers"], len(LAYER_FEATURES))
        raw_pairs = observations["pairs"].reshape(batch, self.n_nodes, self.n_layers, len(PAIR_FEATURES))
        raw_nodes = _rows(observations["nodes"], len(NODE_FEATURES))
        nodes = self.node(_join(raw_nodes, process))
        layers = self.layer(_join(raw_layers, process))
        hidden = self.pair(raw_pairs) + self.of_node(nodes)[:, :, None] + self.of_layer(layers)[:, None]
        shape = batch, self.n_nodes, self.n_layers, self.n_ranks
        hidden = hidden[:, :, :, None].expand(*shape, -1)
        if self.rank is not None:
            hidden = hidden + self.rank(observations["ranks"].reshape(*shape, len(RANK_FEATURES)))
        pairs = torch.relu(hidden)
        legal = legal_assignments(observations).reshape(shape)
        best = (pairs * legal[..., None]).amax(dim=(1, 2, 3))
        all_nodes = _mean(nodes, raw_nodes[..., NODE_FEATURES.index("exists")])
        all_layers = _mean(layers, raw_layers[..., LAYER_FEATURES.index("exists")])
        context = self.context(torch.cat([all_nodes, all_layers, best, process], dim=1))
        order = _order(raw_layers[:, :, LAYER_FEATURES.index("open")] > 0)
        order = order[:, None, :, None].expand(shape)
        return torch.cat([torch.cat([pairs, order[..., None]], dim=4).flatten(1), context], dim=1)


def legal_assignments(observations: Mapping[str, Tensor]) -> Tensor:
    """Bool [B, N * M * R]: pairs, with each rank where ranks are chosen (else R = 1), that are legal."""
    key, names = ("ranks", RANK_FEATURES) if "ranks" in observations else ("pairs", PAIR_FEATURES)
    rows = observations[key].reshape(len(observations[key]), -1, len(names))
    legal: Tensor = rows[..., names.index("legal")] > 0
    return legal


class ContextHead(nn.Module):
    """Takes the place of SB3's `mlp_extractor`: the actor sees all embeddings, the critic the context."""

    def __init__(self, features: PairExtractor) -> None:
        super().__init__()
        self.latent_dim_pi = features.features_dim
        self.latent_dim_vf = features.width
        self.critic = _mlp(features.width, features.width)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """What actor and critic work on."""
        return self.forward_actor(features), self.forward_critic(features)

    def forward_actor(self, features: Tensor) -> Tensor:
        """All embeddings, unchanged."""
        return features

    def forward_critic(self, features: Tensor) -> Tensor:
        """[B, width], from the context alone."""
        latent: Tensor = self.critic(features[:, -self.latent_dim_vf :])
        return latent


class PairScorer(nn.Module):
    """Logits of all actions from flattened embeddings: pairs (with each rank), then wait, then finish.

    Where the process fixes the layer order, an action is a node alone, and stands for its pair with the
    layer whose turn it is; the number of actions tells.
    """

    def __init__(self, features: PairExtractor, n_actions: int) -> None:
        super().__init__()
        width = features.width
        self.shape = features.n_nodes, features.n_layers, features.n_ranks, width + 1
        self.width = width
        self.pairs = n_actions == features.n_assignments + 2
        self.pair, self.context = _linear(width, width), _linear(width, width)
        # Small first logits: the policy starts close to uniform.
        self.score, self.wait, self.finish = (_linear(width, 1, gain=0.01) for _ in range(3))
        nn.init.constant_(self.finish.bias, FINISHING)
        self.sequential = nn.Parameter(torch.tensor(SEQUENTIAL))

    def forward(self, features: Tensor) -> Tensor:
        """[B, n_actions]."""
        context = features[:, -self.width :]
        pairs = features[:, : -self.width].reshape(-1, *self.shape)
        pairs, order = pairs[..., :-1], pairs[..., -1]
        if not self.pairs:
            turn = order[:, 0, :, 0].argmax(dim=1)
            pairs = pairs[torch.arange(len(pairs), device=pairs.device), :, turn]
        around = self.context(context).reshape(len(context), *[1] * (pairs.ndim - 2), self.width)
        scores = self.score(torch.relu(self.pair(pairs) + around))[..., 0]
        if self.pairs:
            scores = scores + self.sequential * order
        return torch.cat([scores.flatten(1), self.wait(context), self.finish(context)], dim=1)


SETTINGS: dict[str, Any] = {
    "features_extractor_class": PairExtractor,
    # Every module initialises itself; SB3 would shrink hidden layers of the scorer, too.
    "ortho_init": False,
}
"""What makes SB3's actor-critic policies pairwise, beside their heads."""


class PairwisePolicy(ActorCriticPolicy):
    """For PPO and other algorithms with SB3's actor-critic policies; takes their arguments."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs | SETTINGS)

    def _build(self, lr_schedule: Schedule) -> None:
        build_heads(self, lr_schedule)


class MaskablePairwisePolicy(MaskableActorCriticPolicy):
    """For MaskablePPO; takes the arguments of sb3-contrib's actor-critic policies."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs | SETTINGS)

    def _build(self, lr_schedule: Schedule) -> None:
        build_heads(self, lr_schedule)


def build_heads(policy: Any, lr_schedule: Schedule, scorer: type[PairScorer] = PairScorer) -> None:
    """What SB3 builds after the extractor, of either kind of policy: both heads, and the optimiser."""
    extractor: PairExtractor = policy.features_extractor
    policy.mlp_extractor = ContextHead(extractor)
    policy.action_net = scorer(extractor, int(policy.action_space.n))
    policy.value_net = nn.Linear(extractor.width, 1)
    policy.optimizer = policy.optimizer_class(
        policy.parameters(), lr=lr_schedule(1), **policy.optimizer_kwargs
    )


def _counts(space: spaces.Dict) -> tuple[int, int]:
    """How many nodes and layers an observation describes."""
    nodes, layers = (space[key].shape or (0,) for key in ("nodes", "layers"))
    return nodes[0] // len(NODE_FEATURES), layers[0] // len(LAYER_FEATURES)


def _rows(flat: Tensor, width: int) -> Tensor:
    """[B, K * width] to [B, K, width]."""
    return flat.reshape(len(flat), -1, width)


def _join(items: Tensor, process: Tensor) -> Tensor:
    """[B, K, D] and [B, H] to [B, K, D + H]."""
    return torch.cat([items, process[:, None].expand(-1, items.shape[1], -1)], dim=2)


def _mean(items: Tensor, exists: Tensor) -> Tensor:
    """[B, K, D] and [B, K], 1 or 0, to [B, D]: over those that exist."""
    there = (exists > 0).to(items.dtype)[..., None]
    total: Tensor = (items * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)
    return total


def _order(is_open: Tensor) -> Tensor:
    """Bool [B, M] to [B, M]: see PairExtractor."""
    n_layers = is_open.shape[1]
    position = torch.arange(n_layers, device=is_open.device).expand_as(is_open)
    lowest = position.masked_fill(~is_open, n_layers).amin(dim=1, keepdim=True)
    return (lowest - position).masked_fill(~is_open, -n_layers).float()


def _mlp(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(_linear(inputs, width), nn.ReLU(), _linear(width, width), nn.ReLU())


def _linear(inputs: int, outputs: int, gain: float = 2**0.5) -> nn.Linear:
    """Orthogonal weights and zero bias, as SB3 and the original PPO have them."""
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer
