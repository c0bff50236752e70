"""A trained policy behind the scheduler protocol."""

from __future__ import annotations

import json
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.save_util import load_from_zip_file

from snakegym.agents.algorithms import algorithm_class
from snakegym.control.records import Assignment
from snakegym.control.service import load_service
from snakegym.control.view import ProcessView
from snakegym.differences import brief, differences
from snakegym.envs.action import ActionCodec
from snakegym.envs.encoder import ViewEncoder
from snakegym.errors import SnakegymError, SnakegymWarning
from snakegym.scenario import Scenario

NO_MATTER = ("summary", "network.traces.skip_bad")
"""Fields of a scenario that change nothing about the decision problem."""
CHECKPOINTS = ("best.zip", "checkpoints/latest.zip")
"""Where the weights of a run lie, the first that exists counts: best by validation, then latest."""


class LearnedScheduler:
    """Takes the most likely action of the policy in a run folder, or draws one where `stochastic` is set.

    A policy of an algorithm that knows masks chooses among legal assignments; the others may
    answer with an illegal one, which is for the environment to penalise.

    Args:
        folder: A run folder with `config.json` (fields `algo` and `scenario`) and one of
            CHECKPOINTS, in SB3's format. As any SB3 file, it contains pickled objects: load only
            what you trust.
        scenario: What is to be scheduled; the run must have been trained on one of that name and
            of the same numbers of nodes and layers. If it differs in anything else, a warning says so:
            that may be meant, to see how far a policy carries.

    Raises:
        SnakegymError: a file is missing, truncated or corrupt, or the scenario is another one.
    """

    def __init__(self, folder: Path, scenario: Scenario) -> None:
        self.folder = folder
        config = _read_config(folder)
        _check_name(folder, config["scenario"], scenario)
        self._masked = algorithm_class(str(config["algo"])).__name__.startswith("Maskable")
        n_nodes, n_middle = scenario.network.nodes, load_service(scenario).profile.n_middle
        self._encoder = ViewEncoder(n_nodes, n_middle)
        self._codec = ActionCodec(n_nodes, n_middle, scenario.process.layer_order)
        self._policy = _load_policy(_checkpoint(folder), self._encoder.space, self._codec.n_actions)
        _warn_of_changes(folder, config["scenario"], scenario)

    stochastic = False
    """Whether actions are drawn by their probabilities, as in training."""

    def reset(self, seed: int) -> None:
        """Seed the draws; there is nothing to forget, as the policy sees the view alone."""
        self._seeds = np.random.default_rng(seed)

    def schedule(self, view: ProcessView) -> Assignment | None:
        """The action, as it is."""
        masks = {"action_masks": self._codec.mask(view)} if self._masked else {}
        with torch.random.fork_rng(devices=[], enabled=self.stochastic):  # SB3 draws from torch's own
            if self.stochastic:
                torch.manual_seed(int(self._seeds.integers(2**62)))
            encoded = self._encoder.encode(view)
            action, _ = self._policy.predict(encoded, deterministic=not self.stochastic, **masks)
        return self._codec.decode(int(action), view)


def _read_config(folder: Path) -> dict[str, Any]:
    """The run's config, with `algo` and a mapping `scenario` for certain."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SnakegymError(
            f"{folder}: found no config.json, expected the folder of a training run"
        ) from None
    except (OSError, ValueError) as error:
        raise SnakegymError(f"{path}: cannot read the config of the run: {error}") from None
    if not isinstance(config, dict) or "algo" not in config or not isinstance(config.get("scenario"), dict):
        raise SnakegymError(f"{path}: expected the fields 'algo' and 'scenario' of a training run")
    return config


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


def _checkpoint(folder: Path) -> Path:
    for name in CHECKPOINTS:
        if (folder / name).is_file():
            return folder / name
    raise SnakegymError(f"{folder}: found no weights, expected {' or '.join(CHECKPOINTS)}")


def _load_policy(path: Path, space: spaces.Dict, n_actions: int) -> Any:
    """The policy alone: loading the whole algorithm would reseed the global random generators."""
    try:
        data, params, _ = load_from_zip_file(path, device="cpu")
    except Exception as error:  # a damaged file can fail anywhere in zip, pickle, json and torch
        raise _damaged(path, error) from None
    if data is None or "policy" not in params:
        raise _damaged(path, ValueError("it holds no policy"))
    _check_spaces(path, data, space, n_actions)
    try:
        with torch.random.fork_rng(devices=[]):  # initial weights are drawn before they are replaced
            policy: BasePolicy = data["policy_class"](
                data["observation_space"],
                data["action_space"],
                lambda _: 0.0,
                **data.get("policy_kwargs", {}),
            )
        weights: Any = params["policy"]
        policy.load_state_dict(weights)
    except Exception as error:
        raise _damaged(path, error) from None
    return policy


def _check_spaces(path: Path, data: dict[str, Any], space: spaces.Dict, n_actions: int) -> None:
    found = _shapes(data.get("observation_space")), getattr(data.get("action_space"), "n", None)
    expected = _shapes(space), n_actions
    if found != expected:
        raise SnakegymError(
            f"{path}: trained for observations {found[0]} and {found[1]} actions, "
            f"expected {expected[0]} and {expected[1]} by this scenario"
        )


def _shapes(space: Any) -> dict[str, Any]:
    return {key: part.shape for key, part in space.spaces.items()} if isinstance(space, spaces.Dict) else {}


def _damaged(path: Path, error: Exception) -> SnakegymError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return SnakegymError(
        f"{path}: truncated or corrupt checkpoint, expected one of Stable-Baselines3: {reason}"
    )
