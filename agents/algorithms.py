"""Learning algorithms with defaults for an environment in which every step trains a network.

A step takes about 20 ms, so a run has thousands of steps, not millions: short rollouts, many
passes over each, and a policy that shares its weights over nodes and layers.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gymnasium import Env
from sb3_contrib import MaskablePPO, RecurrentPPO
from sb3_contrib.common.maskable.policies import (
    MaskableActorCriticPolicy,
    MaskableMultiInputActorCriticPolicy,
)
from sb3_contrib.common.recurrent.policies import RecurrentMultiInputActorCriticPolicy
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy, MultiInputActorCriticPolicy
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.dqn.policies import MultiInputPolicy

from snakegym.agents.hyperparameters import (
    DEFAULTS,
    NAMES,
    NETWORK,
    OF_TRAINING,
    SCHEDULED,
    ZERO_FOR_NONE,
    Spell,
    resolve,
)
from snakegym.agents.kickstart import KickstartedPPO
from snakegym.agents.learners.dqn import LegalDQN, PairwiseQPolicy
from snakegym.agents.learners.legal import LegalPairwisePolicy
from snakegym.agents.learners.recurrent import RecurrentPairwisePolicy
from snakegym.agents.policy import MaskablePairwisePolicy, PairwisePolicy
from snakegym.errors import SnakegymError
from snakegym.plugins import load_plugin

ALGORITHMS: dict[str, type[BaseAlgorithm]] = {
    "ppo": PPO,
    "maskable-ppo": MaskablePPO,
    "recurrent-ppo": RecurrentPPO,
    "a2c": A2C,
    "dqn": LegalDQN,
}
"""Name to class."""

POLICIES: dict[tuple[str, bool], type[ActorCriticPolicy] | type[MaskableActorCriticPolicy]] = {
    ("pairwise", False): PairwisePolicy,
    ("pairwise", True): MaskablePairwisePolicy,
    ("mlp", False): MultiInputActorCriticPolicy,
    ("mlp", True): MaskableMultiInputActorCriticPolicy,
}
"""Class by the name of a policy and whether it takes action masks."""
OWN_POLICIES: dict[str, dict[str, type[BasePolicy]]] = {
    "a2c": {"pairwise": LegalPairwisePolicy, "mlp": MultiInputActorCriticPolicy},
    "dqn": {"pairwise": PairwiseQPolicy, "mlp": MultiInputPolicy},
    "recurrent-ppo": {"pairwise": RecurrentPairwisePolicy, "mlp": RecurrentMultiInputActorCriticPolicy},
}
"""Class by the names of an algorithm that needs its own, and of a policy. Those called pairwise take the mask
from the observation; the others may answer with what is not legal."""
REMEMBERING = ("recurrent-ppo",)
"""Algorithms whose policies have a memory."""


def policy_class(algorithm: str, policy: str, masked: bool) -> Any:
    """The class of a policy.

    Args:
        algorithm: its name.
        policy: its name, as `Hyperparameters` has it.
        masked: whether the algorithm takes action masks.
    """
    return OWN_POLICIES[algorithm][policy] if algorithm in OWN_POLICIES else POLICIES[policy, masked]


def algorithm_class(name: str) -> type[BaseAlgorithm]:
    """The class that `name` stands for.

    Args:
        name: one of ALGORITHMS, or what `snakegym.plugins` understands: a class like those of
            Stable-Baselines3 and sb3-contrib, which may be named as `sb3_contrib:TRPO`.

    Raises:
        SnakegymError: there is none, or it is no algorithm of Stable-Baselines3.
    """
    if name in ALGORITHMS:
        return ALGORITHMS[name]
    found: Any = load_plugin("algorithm", name, ALGORITHMS)
    if not (inspect.isclass(found) and issubclass(found, BaseAlgorithm)):
        raise SnakegymError(
            f"algorithm '{name}': found {found!r:.80}, expected an algorithm of Stable-Baselines3"
        )
    return found


def takes_masks(name: str) -> bool:
    """Whether the policies of this algorithm take action masks.

    Raises:
        SnakegymError: there is no such algorithm, or its policies are no actor-critics of SB3.
    """
    cls: Any = algorithm_class(name)
    if name in OWN_POLICIES:
        return False
    policy = getattr(cls, "policy_aliases", {}).get("MultiInputPolicy")
    if inspect.isclass(policy) and issubclass(policy, MaskableActorCriticPolicy):
        return True
    if inspect.isclass(policy) and issubclass(policy, ActorCriticPolicy):
        return False
    raise SnakegymError(
        f"algorithm '{name}': found {cls.__name__}, expected one with actor-critic policies, as PPO, A2C, "
        "TRPO or MaskablePPO have them, or one of dqn, recurrent-ppo"
    )


def settings_of(name: str, n_envs: int, given: Mapping[str, Any], spell: Spell = str) -> dict[str, Any]:
    """Every hyperparameter of an algorithm as it will be used, as plain JSON data.

    Args:
        name: of the algorithm.
        n_envs: number of environments.
        given: what shall differ from the defaults; see `Hyperparameters`.
        spell: how users write the name of a setting, for errors.

    Raises:
        SnakegymError: there is no such algorithm; a setting is unknown or out of bounds; two of them do
            not go together.
    """
    return resolve(given, _defaults(name, n_envs), n_envs, spell)


def make_algorithm(
    name: str,
    env: Env[Any, Any] | VecEnv,
    seed: int,
    hyperparameters: Mapping[str, Any] | None = None,
    kickstarted: bool = False,
    device: str = "cpu",
) -> BaseAlgorithm:
    """A fresh algorithm, ready for `learn`.

    Args:
        name: See `algorithm_class`.
        env: One environment, or SB3's vector of several.
        seed: Seeds initialisation, sampling and the environments.
        hyperparameters: What shall differ from the defaults; see `Hyperparameters`.
        kickstarted: MaskablePPO that can be pulled towards another policy: see `kickstart`.
        device: where its networks are, as PyTorch names it.

    Raises:
        SnakegymError: unknown name or hyperparameter, or values that are out of bounds or do not go together.
    """
    cls: Any = KickstartedPPO if kickstarted else algorithm_class(name)
    masked, n_envs = takes_masks(name), env.num_envs if isinstance(env, VecEnv) else 1
    try:
        settings = settings_of(name, n_envs, hyperparameters or {})
        algorithm: BaseAlgorithm = cls(
            policy_class(name, settings["policy"], masked),
            env,
            seed=seed,
            device=device,
            policy_kwargs=policy_arguments(settings),
            **_arguments(cls, settings, n_envs),
        )
    except (TypeError, ValueError, AssertionError, MemoryError) as error:
        raise SnakegymError(f"hyperparameters of {name}: {' '.join(str(error).split())}") from error
    return algorithm


def policy_arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the class of a policy is made with, beside its spaces."""
    if settings["policy"] == "mlp":
        return {"net_arch": list(settings["net_arch"])}
    return {"features_extractor_kwargs": {"width": settings["width"]}}


def _arguments(cls: type[Any], settings: Mapping[str, Any], n_envs: int) -> dict[str, Any]:
    """Settings as the class of an algorithm counts them: steps of each environment, None for no limit."""
    of_network = {name for names in NETWORK.values() for name in names}
    schedules = {f"{name}_schedule" for name in SCHEDULED}
    apart = of_network | schedules | {*OF_TRAINING}
    arguments = {name: value for name, value in settings.items() if name not in apart}
    for name in SCHEDULED:
        if settings.get(f"{name}_schedule") == "linear":
            arguments[name] = Falling(arguments[name])
    if "n_steps" in arguments:
        # DQN has another name for it, and means something else by this one.
        arguments["train_freq" if issubclass(cls, DQN) else "n_steps"] = arguments.pop("n_steps") // n_envs
    return arguments | {name: None for name in ZERO_FOR_NONE if arguments.get(name) == 0}


@dataclass(frozen=True)
class Falling:
    """A schedule as SB3 takes it: from the initial value to 0, linear in the steps of the training."""

    initial: float

    def __call__(self, progress_remaining: float) -> float:
        """The value where that share of the training is left."""
        return self.initial * progress_remaining


def _defaults(name: str, n_envs: int) -> Mapping[str, Any]:
    """Ours for PPO in all its forms; else those of the class, for the settings that it has."""
    cls = algorithm_class(name)
    for known, ours in ALGORITHMS.items():
        if issubclass(cls, ours):
            return DEFAULTS[known]
    parameters = inspect.signature(cls).parameters
    own = {n: 0 if n in ZERO_FOR_NONE and p.default is None else p.default for n, p in parameters.items()}
    if "n_steps" in own:
        own["n_steps"] *= n_envs
    beside = [*OF_TRAINING, *(f"{name}_schedule" for name in SCHEDULED if name in own)]
    ours_too = {n: DEFAULTS["ppo"][n] for names in (*NETWORK.values(), beside) for n in names}
    return {n: v for n, v in own.items() if n in NAMES} | ours_too
