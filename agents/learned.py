"""A trained policy behind the scheduler protocol."""

from __future__ import annotations

import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from snakegym.agents.algorithms import POLICIES, policy_arguments
from snakegym.agents.trained import (
    Network,
    RunConfig,
    Sizes,
    check_stamp,
    check_weights,
    checkpoint_of,
    open_checkpoint,
    read_config,
    size_of,
)
from snakegym.control.records import Decision
from snakegym.control.service import load_service
from snakegym.control.view import ProcessView
from snakegym.differences import brief, differences
from snakegym.envs.action import ActionCodec
from snakegym.envs.encoder import ViewEncoder
from snakegym.errors import SnakegymError, SnakegymWarning
from snakegym.scenario import Scenario

NO_MATTER = ("summary", "network.traces.skip_bad", "network.traces.format")
"""Fields of a scenario that change nothing about the decision problem."""


class LearnedScheduler:
    """Takes the most likely action of the policy in a run folder, or draws one where `stochastic` is set.

    A policy of an algorithm that knows masks chooses among legal assignments; the others may
    answer with an illegal one, which is for the environment to penalise.

    Nothing in the folder is executed: the policy is built from `config.json`, and of a checkpoint only the
    tensors of its weights are read.

    Args:
        folder: A run folder with `config.json` and one of `snakegym.agents.trained.CHECKPOINTS`.
        scenario: What is to be scheduled; the run must have been trained on one of that name and
            of the same numbers of nodes and layers. If it differs in anything else, a warning says so:
            that may be meant, to see how far a policy carries.

    Raises:
        SnakegymError: a file is missing, truncated, corrupt or something else, or the scenario is another
            one.
    """

    def __init__(self, folder: Path, scenario: Scenario) -> None:
        self.folder = folder
        config = read_config(folder)
        _check_name(folder, config.scenario, scenario)
        n_nodes, n_middle = scenario.network.nodes, load_service(scenario).profile.n_middle
        self._masked = config.masked
        self._encoder = ViewEncoder(n_nodes, n_middle)
        self._codec = ActionCodec(n_nodes, n_middle, scenario.process.layer_order)
        path = checkpoint_of(folder)
        _check_sizes(path, config.sizes, Sizes(nodes=n_nodes, layers=n_middle, actions=self._codec.n_actions))
        self._policy = _load_policy(path, config, self._encoder.space)
        _warn_of_changes(folder, config.scenario, scenario)

    stochastic = False
    """Whether actions are drawn by their probabilities, as in training."""

    def reset(self, seed: int) -> None:
        """Seed the draws; there is nothing to forget, as the policy sees the view alone."""
        self._seeds = np.random.default_rng(seed)

    def schedule(self, view: ProcessView) -> Decision:
        """The action, as it is."""
        masks = {"action_masks": self._codec.mask(view)} if self._masked else {}
        with torch.random.fork_rng(devices=[], enabled=self.stochastic):  # SB3 draws from torch's own
            if self.stochastic:
                torch.manual_seed(int(self._seeds.integers(2**62)))
            encoded = self._encoder.encode(view)
            action, _ = self._policy.predict(encoded, deterministic=not self.stochastic, **masks)
        return self._codec.decode(int(action), view)


def _check_name(folder: Path, trained_on: dict[str, Any], scenario: Scenario) -> None:
    name = trained_on.get("name")
    if name != scenario.name:
        raise SnakegymError(f"{folder}: trained on scenario '{name}', expected '{scenario.name}'")


def _warn_of_changes(folder: Path, trained_on: dict[str, Any], scenario: Scenario) -> None:
    with suppress(ValueError):  # what has been added to scenarios since has its default
        trained_on = Scenario.model_validate(trained_on).model_dump(mode="json")
    changes = [
        f"field '{field}' was {brief(before)} and is {brief(now)}"
        for field, now, before in differences(scenario.model_dump(mode="json"), trained_on)
        if field not in NO_MATTER
    ]
    if changes:
        more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
        warnings.warn(
            f"{folder}: trained on another scenario called '{scenario.name}': {', '.join(changes[:3])}{more}",
            SnakegymWarning,
            stacklevel=3,
        )


def _check_sizes(path: Path, found: Sizes, expected: Sizes) -> None:
    if found != expected:
        older = found.model_copy(update={"actions": found.actions + 1}) == expected
        why = ": it knows no action to finish, so it is of an older version; train it again" if older else ""
        raise SnakegymError(f"{path}: trained for {found}, expected {expected} by this scenario{why}")


def _load_policy(path: Path, config: RunConfig, space: spaces.Dict) -> Any:
    """The policy alone, with the weights of the checkpoint."""
    policy = _build_policy(config.ppo, config.masked, space, config.sizes.actions)
    expected = policy.state_dict()
    with open_checkpoint(path) as checkpoint:
        check_stamp(checkpoint, config.algo)
        weights = checkpoint.tensors("policy.pth", size_of(expected))
        check_weights(checkpoint, weights, expected)
    policy.load_state_dict(weights)
    return policy


def _build_policy(network: Network, masked: bool, space: spaces.Dict, n_actions: int) -> Any:
    cls: Any = POLICIES[network.policy, masked]
    with torch.random.fork_rng(devices=[]):  # initial weights are drawn before they are replaced
        return cls(space, spaces.Discrete(n_actions), lambda _: 0.0, **policy_arguments(network.model_dump()))
