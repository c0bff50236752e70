"""Settings of the learning algorithms: what can be set, within which bounds, and what goes together.

Nothing heavy is imported here, so that a command line can be made of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Annotated, Any, Literal

import tyro
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from snakegym.errors import SnakegymError

Policy = Literal["pairwise", "mlp"]
Schedule = Literal["constant", "linear"]
Spell = Callable[[str], str]
"""How users write the name of a setting."""

ROLLOUT_STEPS = 512
"""Steps between two updates, over all environments together."""
SHORTEST_ROLLOUT = 8
"""Steps of each environment, however many there are: advantages look about 1 / (1 - gamma * gae_lambda) = 9
steps ahead."""
WIDTH = 64
"""Of the hidden layers of the pairwise network."""

_NETWORK: dict[str, Any] = {"policy": "pairwise", "width": WIDTH, "net_arch": (64, 64)}
_PPO: dict[str, Any] = {
    "learning_rate": 1e-3,
    "learning_rate_schedule": "constant",
    "n_steps": ROLLOUT_STEPS,
    "batch_size": 64,
    "n_epochs": 10,
    "gamma": 0.99,
    "gae_lambda": 0.9,
    "ent_coef": 0.005,
    "vf_coef": 0.5,
    "clip_range": 0.2,
    "clip_range_schedule": "constant",
    "clip_range_vf": 0.0,
    "normalize_advantage": True,
    "normalize_reward": False,
    "max_grad_norm": 0.5,
    "target_kl": 0.05,
    "stats_window_size": 100,
    **_NETWORK,
}
_RECURRENT: dict[str, Any] = _PPO | {"learning_rate_schedule": "linear", "n_steps": 1024, "batch_size": 128}
_A2C: dict[str, Any] = {
    "learning_rate": 3e-3,
    "learning_rate_schedule": "constant",
    "n_steps": 128,
    "gamma": 0.99,
    "gae_lambda": 0.9,
    "ent_coef": 0.005,
    "vf_coef": 0.5,
    "normalize_advantage": True,
    "normalize_reward": False,
    "max_grad_norm": 0.5,
    "stats_window_size": 100,
    **_NETWORK,
}
_DQN: dict[str, Any] = {
    "learning_rate": 5e-4,
    "learning_rate_schedule": "constant",
    "n_steps": 128,
    "batch_size": 64,
    "gamma": 0.95,
    "buffer_size": 20_000,
    "learning_starts": 1_000,
    "gradient_steps": 64,
    "target_update_interval": 500,
    "exploration_fraction": 0.3,
    "exploration_final_eps": 0.05,
    "normalize_reward": False,
    "max_grad_norm": 10.0,
    "stats_window_size": 100,
    **_NETWORK,
}
DEFAULTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"maskable-ppo": _PPO, "ppo": _PPO, "recurrent-ppo": _RECURRENT, "a2c": _A2C, "dqn": _DQN}
)
"""Settings by the algorithm's name. Of `gamma` and `gae_lambda`, tried on validation episodes of `default`
(36,000 steps, one seed): 0.99 and 0.9 came to 6.5, 0.9 and 0.8 (learns faster at first) and 0.95 and 0.9 to
6.3 and 6.2; with 1.0 and 0.9 training is about as good after 12,000 steps as with 0.99. Those of a2c, dqn and
recurrent-ppo are the best of four or five each, tried in 40,960 steps (`experiments/algorithms.md`)."""

NETWORK = {"pairwise": ("policy", "width"), "mlp": ("policy", "net_arch")}
"""Settings that shape the network of a policy, by the policy's name."""
SCHEDULED = ("learning_rate", "clip_range")
"""Settings that may fall to 0 over the training: there is `<name>_schedule` beside each."""
OF_TRAINING = ("normalize_reward",)
"""Settings that the algorithm itself knows nothing of."""
ZERO_FOR_NONE = ("clip_range_vf", "target_kl")
"""Limits that 0 switches off."""


def _option(name: str, metavar: str) -> Any:
    """On the command line: `--gamma` and `--ppo.gamma`, with the defaults of every algorithm in the help."""
    by_value: dict[str, list[str]] = {}
    for algorithm, settings in DEFAULTS.items():
        if name not in settings:
            continue
        by_value.setdefault(_brief(settings[name]), []).append(algorithm)
    hint = "; ".join(
        f"{value} of {', '.join(names)}" if len(by_value) > 1 else value for value, names in by_value.items()
    )
    return tyro.conf.arg(
        metavar=metavar,
        aliases=[f"--ppo.{name.replace('_', '-')}"],
        help_behavior_hint=f"(default: {hint})",
    )


def _brief(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


_Coefficient = Field(ge=0, le=1000, allow_inf_nan=False)
_Limit = Field(ge=0, le=1e6, allow_inf_nan=False)
_Share = Field(ge=0, le=1, allow_inf_nan=False)
Width = Annotated[int, Field(ge=1, le=1024)]
"""Of a hidden layer."""


@dataclass(frozen=True)
class Hyperparameters:
    """Settings of a learning algorithm; None stands for its default."""

    __pydantic_config__ = ConfigDict(strict=True, revalidate_instances="always")

    learning_rate: Annotated[
        float | None, Field(gt=0, le=1, allow_inf_nan=False), _option("learning_rate", "FLOAT")
    ] = None
    """Step size of the policy's optimiser."""
    learning_rate_schedule: Annotated[
        Schedule | None, _option("learning_rate_schedule", "{constant,linear}")
    ] = None
    """Whether it falls to 0 over the training."""
    n_steps: Annotated[int | None, Field(ge=1, le=10**6), _option("n_steps", "INT")] = None
    """Environment steps of one rollout, over all environments together; if not given, at least 8 of each."""
    batch_size: Annotated[int | None, Field(ge=1, le=10**6), _option("batch_size", "INT")] = None
    """Minibatch of one gradient step; at most the rollout."""
    n_epochs: Annotated[int | None, Field(ge=1, le=1000), _option("n_epochs", "INT")] = None
    """Passes over each rollout."""
    gamma: Annotated[float | None, _Share, _option("gamma", "FLOAT")] = None
    """Discount of later rewards."""
    gae_lambda: Annotated[float | None, _Share, _option("gae_lambda", "FLOAT")] = None
    """Bias-variance trade-off of the advantages."""
    ent_coef: Annotated[float | None, _Coefficient, _option("ent_coef", "FLOAT")] = None
    """Weight of the entropy bonus: more explores longer."""
    vf_coef: Annotated[float | None, _Coefficient, _option("vf_coef", "FLOAT")] = None
    """Weight of the error of the predicted values."""
    clip_range: Annotated[float | None, Field(gt=0, le=100), _option("clip_range", "FLOAT")] = None
    """How far one update may move the policy."""
    clip_range_schedule: Annotated[Schedule | None, _option("clip_range_schedule", "{constant,linear}")] = (
        None
    )
    """Whether that falls to 0 over the training."""
    clip_range_vf: Annotated[float | None, _Limit, _option("clip_range_vf", "FLOAT")] = None
    """How far one update may move the predicted values; 0: as far as it goes."""
    normalize_advantage: Annotated[bool | None, _option("normalize_advantage", "{True,False}")] = None
    """Whether the advantages of a minibatch are scaled to mean 0 and deviation 1."""
    normalize_reward: Annotated[bool | None, _option("normalize_reward", "{True,False}")] = None
    """Whether the learner's rewards are divided by the deviation of the discounted return so far."""
    max_grad_norm: Annotated[float | None, Field(gt=0, le=1e6), _option("max_grad_norm", "FLOAT")] = None
    """Longer gradients are cut to this length."""
    target_kl: Annotated[float | None, _Limit, _option("target_kl", "FLOAT")] = None
    """An update stops where the policy has moved 1.5 times as far (KL divergence); 0: never."""
    buffer_size: Annotated[int | None, Field(ge=1, le=10**7), _option("buffer_size", "INT")] = None
    """Steps that DQN remembers to learn from."""
    learning_starts: Annotated[int | None, Field(ge=0, le=10**7), _option("learning_starts", "INT")] = None
    """Steps at random before DQN learns."""
    gradient_steps: Annotated[int | None, Field(ge=1, le=10**6), _option("gradient_steps", "INT")] = None
    """Of DQN after each rollout, on a minibatch each."""
    target_update_interval: Annotated[
        int | None, Field(ge=1, le=10**7), _option("target_update_interval", "INT")
    ] = None
    """Steps after which DQN's goals are set by the values that it has learned by then."""
    exploration_fraction: Annotated[float | None, _Share, _option("exploration_fraction", "FLOAT")] = None
    """Share of the training in which DQN acts at random less and less often, from always on."""
    exploration_final_eps: Annotated[float | None, _Share, _option("exploration_final_eps", "FLOAT")] = None
    """How often it does after that."""
    stats_window_size: Annotated[int | None, Field(ge=1, le=10**6), _option("stats_window_size", "INT")] = (
        None
    )
    """Episodes that the algorithm's own `rollout/` metrics are averaged over."""
    policy: Annotated[Policy | None, _option("policy", "{pairwise,mlp}")] = None
    """Network: pairwise (shares its weights over nodes and layers) or mlp (a plain perceptron)."""
    width: Annotated[Width | None, _option("width", "INT")] = None
    """Of every hidden layer of the pairwise network."""
    net_arch: Annotated[tuple[Width, ...] | None, Field(max_length=16), _option("net_arch", "[INT ...]")] = (
        None
    )
    """Widths of the hidden layers of the mlp network, of actor and critic each."""

    def given(self) -> dict[str, Any]:
        """The settings that were set."""
        return {f.name: v for f in fields(self) if (v := getattr(self, f.name)) is not None}


NAMES = tuple(f.name for f in fields(Hyperparameters))


def check(given: Mapping[str, Any], spell: Spell = str) -> dict[str, Any]:
    """The settings as numbers of the right type. Raises SnakegymError for the first that is out of bounds."""
    for name in given:
        if name not in NAMES:
            raise SnakegymError(f"{spell(name)}: unknown, expected one of {', '.join(NAMES)}")
    plain: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
    try:
        return TypeAdapter(Hyperparameters).validate_python(Hyperparameters(**plain)).given()
    except ValidationError as error:
        first = error.errors()[0]
    name, expected = str(first["loc"][0]), first["msg"].removeprefix("Input should be ")
    raise SnakegymError(f"{spell(name)}: found {first['input']!r:.80}, expected {expected}")


def resolve(
    given: Mapping[str, Any], defaults: Mapping[str, Any], n_envs: int, spell: Spell = str
) -> dict[str, Any]:
    """Every setting of an algorithm as it will be used, as plain JSON data.

    Args:
        given: what shall differ from the defaults.
        defaults: of the algorithm; what is not among them, it does not know.
        n_envs: number of environments.
        spell: how users write the name of a setting.

    Raises:
        SnakegymError: a setting is unknown or out of bounds, or two of them do not go together.
    """
    given = check(given, spell)
    policy = given.get("policy", defaults["policy"])
    other = {name for names in NETWORK.values() for name in names} - {*NETWORK[policy]}
    known = [name for name in defaults if name not in other]
    for name in given:
        if name not in known:
            takes = NETWORK[policy][1:] if name in other else known
            whom = f"the policy '{policy}'" if name in other else "the algorithm"
            raise SnakegymError(f"{spell(name)}: of no use to {whom}, which takes {', '.join(takes)}")
    settings = {name: given.get(name, defaults[name]) for name in known}
    if "n_steps" in known:
        if "n_steps" not in given:
            settings["n_steps"] = max(SHORTEST_ROLLOUT, settings["n_steps"] // n_envs) * n_envs
        _check_rollout(settings, n_envs, spell)
    if "net_arch" in settings:
        settings["net_arch"] = list(settings["net_arch"])
    return settings


def _check_rollout(settings: dict[str, Any], n_envs: int, spell: Spell) -> None:
    """Cut the minibatch to the rollout. Raises SnakegymError if rollouts and minibatches do not work out."""
    steps = settings["n_steps"]
    if steps % n_envs:
        raise SnakegymError(
            f"{spell('n_steps')}: found {steps}, expected a multiple of {spell('n_envs')} {n_envs}"
        )
    batch = min(settings.get("batch_size", steps), steps)
    if settings.get("normalize_advantage") and 1 in (batch, steps % batch):
        # The deviation of one number is no number: sb3-contrib divides by it.
        raise SnakegymError(
            f"{spell('batch_size')}: found {batch}, which leaves one of the {steps} steps of a rollout "
            f"({spell('n_steps')}) alone in a minibatch, expected 2 or more in each, or "
            f"{spell('normalize_advantage')} False"
        )
    if "n_epochs" in settings:  # else minibatches are none of a rollout
        settings["batch_size"] = batch
