"""Actor-critic policy that scores every (node, layer) pair with the same weights.

Which node has which index is drawn anew in each episode, so a network with one output per index
would have to learn the same thing for each of them. Here a node is described by its features
alone: renumbering the nodes renumbers the scores and changes nothing else, and what was learned
about one node holds for all. The same weights work for any number of nodes.

The policy begins with a preference for the lowest open layer (sequential order, which the paper finds
best: "Snake Learning: A Communication- and Computation-Efficient Distributed Learning Framework
for 6G", DOI 10.1109/MCOM.005.2400282). Its strength is learned. Without it the probability of a node
is spread over all layers, and the most likely single action is often to wait.
"""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn

from snakegym.agents.hyperparameters import WIDTH
from snakegym.envs.encoder import LAYER_FEATURES, NODE_FEATURES, PROCESS_FEATURES

SEQUENTIAL = 2.0
"""First strength of the preference for low layers: an open one is e**2 times as likely as the next."""
FINISHING = -3.0
"""First logit of finishing: as likely as any pair it would end episodes before there is much to learn."""


class SetExtractor(BaseFeaturesExtractor):
    """Embeds nodes and layers one by one, and their means with the process features as context.

    Input: the Dict observation, nodes [B, N * F], layers [B, M * G], process [B, H].
    Output: [B, (N + M + 1) * width + M], the embeddings of nodes, layers and context, and the order
    of the layers (0 for the lowest open one, -1 for the next, -M for those that are not open),
    flattened because SB3 hands on one flat tensor.

    Args:
        observation_space: see `ViewEncoder`.
        width: of every hidden layer of the policy.
    """

    def __init__(self, observation_space: spaces.Dict, width: int = WIDTH) -> None:
        self.n_nodes, self.n_layers = _counts(observation_space)
        self.width = width
        super().__init__(
            observation_space, features_dim=(self.n_nodes + self.n_layers + 1) * width + self.n_layers
        )
        process_dim = len(PROCESS_FEATURES)
        self.node = _mlp(len(NODE_FEATURES) + process_dim, width)
        self.layer = _mlp(len(LAYER_FEATURES) + process_dim, width)
        self.context = _mlp(2 * width + process_dim, width)

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """See the class."""
        process = observations["process"]
        raw = _rows(observations["layers"], len(LAYER_FEATURES))
        nodes = self.node(_join(_rows(observations["nodes"], len(NODE_FEATURES)), process))
        layers = self.layer(_join(raw, process))
        context = self.context(torch.cat([nodes.mean(dim=1), layers.mean(dim=1), process], dim=1))
        order = _order(raw[:, :, LAYER_FEATURES.index("open")] > 0)
        return torch.cat([nodes.flatten(1), layers.flatten(1), context, order], dim=1)


class ContextHead(nn.Module):
    """Takes the place of SB3's `mlp_extractor`: the actor sees all embeddings, the critic the context."""

    def __init__(self, features: SetExtractor) -> None:
        super().__init__()
        self._context = slice(-features.width - features.n_layers, -features.n_layers)
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
        latent: Tensor = self.critic(features[:, self._context])
        return latent


class PairScorer(nn.Module):
    """Logits of all actions from flattened embeddings: pairs (node, layer), then wait, then finish.

    Where the process fixes the layer order, an action is a node alone; the number of actions tells.
    """

    def __init__(self, features: SetExtractor, n_actions: int) -> None:
        super().__init__()
        n_nodes, n_layers, width = features.n_nodes, features.n_layers, features.width
        self.sizes = [n_nodes, n_layers, 1]
        self.width = width
        self.pairs = n_actions == n_nodes * n_layers + 2
        self.node, self.layer, self.context = (_linear(width, width) for _ in range(3))
        # Small first logits: the policy starts close to uniform.
        self.score, self.wait, self.finish = (_linear(width, 1, gain=0.01) for _ in range(3))
        nn.init.constant_(self.finish.bias, FINISHING)
        self.sequential = nn.Parameter(torch.tensor(SEQUENTIAL))

    def forward(self, features: Tensor) -> Tensor:
        """[B, n_actions]; the hidden layer of a pair is the sum of what its members contribute."""
        n_layers = self.sizes[1]
        nodes, layers, context = torch.split(_rows(features[:, :-n_layers], self.width), self.sizes, dim=1)
        hidden = self.node(nodes)[:, :, None] + self.context(context)[:, :, None]
        if self.pairs:
            hidden = hidden + self.layer(layers)[:, None]
        scores = self.score(torch.relu(hidden))[..., 0]
        if self.pairs:
            scores = scores + self.sequential * features[:, None, -n_layers:]
        ends = self.wait(context[:, 0]), self.finish(context[:, 0])
        return torch.cat([scores.flatten(1), *ends], dim=1)


SETTINGS: dict[str, Any] = {
    "features_extractor_class": SetExtractor,
    # Every module initialises itself; SB3 would shrink hidden layers of the scorer, too.
    "ortho_init": False,
}
"""What makes SB3's actor-critic policies pairwise, beside their heads."""


class PairwisePolicy(ActorCriticPolicy):
    """For PPO and other algorithms with SB3's actor-critic policies; takes their arguments."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs | SETTINGS)

    def _build_mlp_extractor(self) -> None:
        self.mlp_extractor: Any = ContextHead(_embedding(self))

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        self.action_net = PairScorer(_embedding(self), _n_actions(self))
        self.optimizer = _optimizer(self, lr_schedule)


class MaskablePairwisePolicy(MaskableActorCriticPolicy):
    """For MaskablePPO; takes the arguments of sb3-contrib's actor-critic policies."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs | SETTINGS)

    def _build_mlp_extractor(self) -> None:
        self.mlp_extractor: Any = ContextHead(_embedding(self))

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        self.action_net = PairScorer(_embedding(self), _n_actions(self))
        self.optimizer = _optimizer(self, lr_schedule)


def _embedding(policy: Any) -> SetExtractor:
    extractor: SetExtractor = policy.features_extractor
    return extractor


def _n_actions(policy: Any) -> int:
    return int(policy.action_space.n)


def _optimizer(policy: Any, lr_schedule: Schedule) -> Any:
    """As SB3 makes it, with the actor's head that has taken the place of SB3's."""
    return policy.optimizer_class(policy.parameters(), lr=lr_schedule(1), **policy.optimizer_kwargs)


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


def _order(is_open: Tensor) -> Tensor:
    """Bool [B, M] to [B, M]: see SetExtractor."""
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
