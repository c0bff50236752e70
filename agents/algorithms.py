"""Learning algorithms with defaults for an environment in which every step trains a network.

A step takes about 20 ms, so a run has thousands of steps, not millions: short rollouts, many
passes over each, and a policy that shares its weights over nodes and layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from gymnasium import Env
from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from snakegym.agents.policy import MaskablePairwisePolicy, PairwisePolicy
from snakegym.errors import SnakegymError

Policy = Literal["pairwise", "mlp"]

ALGORITHMS: dict[str, type[BaseAlgorithm]] = {"ppo": PPO, "maskable-ppo": MaskablePPO}
"""Name to class."""

_POLICIES: dict[str, dict[str, Any]] = {
    "ppo": {"pairwise": PairwisePolicy, "mlp": "MultiInputPolicy"},
    "maskable-ppo": {"pairwise": MaskablePairwisePolicy, "mlp": "MultiInputPolicy"},
}

ROLLOUT_STEPS = 512
"""Steps between two updates, over all environments together."""
SHORTEST_ROLLOUT = 8
"""Steps of each environment, however many there are: advantages look about 1 / (1 - gamma * gae_lambda) = 4
steps ahead."""

DEFAULTS: dict[str, Any] = {
    "learning_rate": 1e-3,
    "batch_size": 64,
    "n_epochs": 10,
    "gamma": 0.9,
    "gae_lambda": 0.8,
    "ent_coef": 0.005,
    "clip_range": 0.2,
    "target_kl": 0.05,
}
"""Hyperparameters of both. Rewards are gains and costs of one hop and the gain is noisy, so a short
horizon (`gamma`, `gae_lambda`) pays: with 0.98 and 0.9 hardly anything was learned in 8,000
steps. `n_steps` follows from ROLLOUT_STEPS and the number of environments."""


def make_algorithm(
    name: str, env: Env[Any, Any] | VecEnv, seed: int, hyperparameters: Mapping[str, Any] | None = None
) -> BaseAlgorithm:
    """A fresh algorithm on the CPU, ready for `learn`.

    Args:
        name: One of ALGORITHMS.
        env: One environment, or SB3's vector of several.
        seed: Seeds initialisation, sampling and the environments.
        hyperparameters: What shall differ from DEFAULTS: arguments of the algorithm's class, and
            `policy`, "pairwise" (default) or "mlp" (SB3's MultiInputPolicy).

    Raises:
        SnakegymError: unknown name, policy or hyperparameter, or a value that the class refuses.
    """
    cls: Any = algorithm_class(name)
    settings = {"n_steps": _rollout(env), **DEFAULTS, **(hyperparameters or {})}
    policy = settings.pop("policy", "pairwise")
    if policy not in _POLICIES[name]:
        raise SnakegymError(f"unknown policy '{policy}': expected one of {', '.join(_POLICIES[name])}")
    try:
        algorithm: BaseAlgorithm = cls(_POLICIES[name][policy], env, seed=seed, device="cpu", **settings)
    except (TypeError, ValueError, AssertionError) as error:
        raise SnakegymError(f"hyperparameters of {name}: {' '.join(str(error).split())}") from error
    return algorithm


def algorithm_class(name: str) -> type[BaseAlgorithm]:
    """The class registered under `name`. Raises SnakegymError if there is none."""
    if name not in ALGORITHMS:
        raise SnakegymError(f"unknown algorithm '{name}': expected one of {', '.join(ALGORITHMS)}")
    return ALGORITHMS[name]


def _rollout(env: Env[Any, Any] | VecEnv) -> int:
    n_envs = env.num_envs if isinstance(env, VecEnv) else 1
    return max(SHORTEST_ROLLOUT, ROLLOUT_STEPS // n_envs)
