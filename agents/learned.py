"""A trained policy behind the scheduler protocol."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from snakegym.agents.algorithms import REMEMBERING, policy_arguments, policy_class
from snakegym.agents.trained.checkpoint import checkpoint_of, open_checkpoint
from snakegym.agents.trained.config import Network, RunConfig, Sizes, read_config, scenarios_of
from snakegym.agents.trained.weights import policy_weights
from snakegym.control.records import Decision
from snakegym.control.service import load_service
from snakegym.control.view import Floats, ProcessView
from snakegym.differences import brief, differences
from snakegym.envs.action import ActionCodec
from snakegym.envs.encoder import Encoded, ViewEncoder
from snakegym.errors import SnakegymError, SnakegymWarning
from snakegym.scenario import Scenario

Memory = tuple[NDArray[np.float32], ...]
"""What a policy remembers of n episodes, [layers, n, width] each; nothing where it has no memory."""
NO_MATTER = ("summary", "fitted", "network.traces.skip_bad", "network.traces.format")
"""Fields of a scenario that change nothing about the decision problem."""


class LearnedScheduler:
    """Takes the most likely action of the policy in a run folder, or draws one where `stochastic` is set.

    A policy of an algorithm that knows masks, and one that takes them from the observation, chooses among
    legal assignments; the others may answer with an illegal one, which is for the environment to penalise.
    A policy with a memory remembers an episode; one that values actions (dqn) always takes the best.

    Nothing in the folder is executed: the policy is built from `config.json`, and of a checkpoint only the
    tensors of its weights are read.

    Args:
        folder: A run folder with `config.json` and one of `snakegym.agents.trained.checkpoint.CHECKPOINTS`.
        scenario: What is to be scheduled. If the run was not trained on it, or it has changed since, a
            warning says so: that may be meant, to see how far a policy carries. The weights of a pairwise
            policy are the same for any number of nodes and layers.

    Raises:
        SnakegymError: a file is missing, truncated, corrupt or something else, or the policy is an `mlp` for
            another number of nodes or layers.
    """

    def __init__(self, folder: Path, scenario: Scenario) -> None:
        self.folder = folder
        config = read_config(folder)
        n_nodes, n_middle = scenario.network.nodes, load_service(scenario).profile.n_middle
        self._masked, self._algo = config.masked, config.algo
        self._state: Any = None
        ranks = scenario.learning.offered_ranks
        self._encoder = ViewEncoder(n_nodes, n_middle, len(ranks))
        self._codec = ActionCodec(n_nodes, n_middle, scenario.process.layer_order, ranks)
        path = checkpoint_of(folder)
        sizes = Sizes(nodes=n_nodes, layers=n_middle, actions=self._codec.n_actions)
        if config.ppo.policy == "mlp" and config.sizes != sizes:
            raise SnakegymError(
                f"{path}: an mlp policy for {config.sizes}, expected one for {sizes} by this scenario"
            )
        self._policy = _load_policy(path, config, self._encoder.space, sizes.actions)
        _warn_of_changes(folder, scenarios_of(config), scenario)

    stochastic = False
    """Whether actions are drawn by their probabilities, as in training."""

    def encode(self, view: ProcessView) -> Encoded:
        """The view as the policy sees it."""
        return self._encoder.encode(view)

    def mask(self, view: ProcessView) -> NDArray[np.bool_]:
        """Bool [n_actions]: legal actions."""
        return self._codec.mask(view)

    @property
    def memory(self) -> Memory:
        """What it remembers of the episode before the next decision."""
        if self._algo not in REMEMBERING:
            return ()
        if self._state is None:
            return tuple(np.zeros(self._policy.lstm_hidden_state_shape, np.float32) for _ in range(2))
        return tuple(self._state)

    def log_probabilities(
        self, observations: Encoded, masks: NDArray[np.bool_], memory: Memory = ()
    ) -> Floats:
        """[n, n_actions]: logarithms of the probabilities of all actions in n views.

        A policy that values actions (dqn) has none: here it is as if it drew them by the softmax of their
        values, discounted returns in reward units.

        Args:
            observations: what `encode` gives of each, stacked: [n, …].
            masks: [n, n_actions]: what is legal; a policy that takes no masks leaves them aside. What is not
                legal is given hardly any probability, exp(-1e8).
            memory: what `memory` was before each, stacked; of a policy that has one.
        """
        given = {"action_masks": masks} if self._masked else {}
        tensors, _ = self._policy.obs_to_tensor(observations)
        with torch.no_grad():
            if self._algo == "dqn":
                logits = self._policy.q_net(tensors).log_softmax(dim=1)
            elif self._algo in REMEMBERING:
                remembered = tuple(torch.from_numpy(part) for part in memory)
                starts = torch.zeros(len(masks))  # what is remembered at a start is nothing already
                distribution, _ = self._policy.get_distribution(tensors, remembered, starts)
                logits = distribution.distribution.logits
            else:
                logits = self._policy.get_distribution(tensors, **given).distribution.logits
        return np.asarray(logits.numpy(), np.float64)

    def reset(self, seed: int) -> None:
        """Seed the draws, and forget the episode before."""
        self._state = None
        self._seeds = np.random.default_rng(seed)

    def schedule(self, view: ProcessView) -> Decision:
        """The action, as it is."""
        masks = {"action_masks": self._codec.mask(view)} if self._masked else {}
        with torch.random.fork_rng(devices=[], enabled=self.stochastic):  # SB3 draws from torch's own
            if self.stochastic:
                torch.manual_seed(int(self._seeds.integers(2**62)))
            encoded = self._encoder.encode(view)
            begins = np.array([self._state is None])
            action, self._state = self._policy.predict(
                encoded, self._state, begins, deterministic=not self.stochastic, **masks
            )
        return self._codec.decode(int(action), view)


def _warn_of_changes(folder: Path, trained_on: Sequence[dict[str, Any]], scenario: Scenario) -> None:
    """Say so where a policy was trained on something else."""
    names = [str(one.get("name")) for one in trained_on]
    if scenario.name not in names:
        listed = ", ".join(f"'{name}'" for name in names)
        _warn(f"{folder}: trained on scenario {listed}, and used on '{scenario.name}'")
        return
    before: Any = trained_on[names.index(scenario.name)]
    with suppress(ValueError):  # what has been added to scenarios since has its default
        before = Scenario.model_validate(before).model_dump(mode="json")
    changes = [
        f"field '{field}' was {brief(old)} and is {brief(now)}"
        for field, now, old in differences(scenario.model_dump(mode="json"), before)
        if field not in NO_MATTER
    ]
    if changes:
        more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
        what = f"another scenario called '{scenario.name}'"
        _warn(f"{folder}: trained on {what}: {', '.join(changes[:3])}{more}")


def _warn(message: str) -> None:
    warnings.warn(message, SnakegymWarning, stacklevel=4)


def _load_policy(path: Path, config: RunConfig, space: spaces.Dict, n_actions: int) -> Any:
    """The policy alone, with the weights of the checkpoint."""
    policy = build_policy(config.ppo, config.masked, space, n_actions, config.algo)
    with open_checkpoint(path) as checkpoint:
        policy.load_state_dict(policy_weights(checkpoint, config.algo, policy.state_dict()))
    return policy


def build_policy(
    network: Network, masked: bool, space: spaces.Dict, n_actions: int, algo: str = "maskable-ppo"
) -> Any:
    """A fresh policy for so many actions and such observations; no generator is left another."""
    cls = policy_class(algo, network.policy, masked)
    with torch.random.fork_rng(devices=[]):  # initial weights are drawn before they are replaced
        return cls(space, spaces.Discrete(n_actions), lambda _: 0.0, **policy_arguments(network.model_dump()))
