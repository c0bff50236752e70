"""Hyperparameter files as RL Baselines3 Zoo has them: one an algorithm, an entry a scenario, and `default`.

Source of the vocabulary: https://github.com/DLR-RM/rl-baselines3-zoo, `hyperparams/ppo.yml`. Steps of a
rollout are counted for each environment there, and over all of them here.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snakegym.errors import SnakegymError

ALGORITHMS = ("ppo", "maskable-ppo", "recurrent-ppo", "a2c", "dqn")
"""Names of files that say which algorithm they are for."""
POLICIES = {"MlpPolicy": "mlp", "MultiInputPolicy": "mlp", "mlp": "mlp", "pairwise": "pairwise"}
SCHEDULED = ("learning_rate", "clip_range")
LINEAR = "lin_"
AS_THEY_ARE = (
    *(
        "batch_size",
        "n_epochs",
        "gamma",
        "gae_lambda",
        "ent_coef",
        "vf_coef",
        "clip_range_vf",
        "max_grad_norm",
    ),
    *("target_kl", "normalize_advantage", "stats_window_size", "seed", "width"),
    *("exploration_fraction", "exploration_final_eps"),
)
WHOLE = ("buffer_size", "learning_starts", "gradient_steps", "target_update_interval")
"""Numbers of steps, which may be written as 1e5."""


def is_zoo(document: Any, options: Mapping[str, Any]) -> bool:
    """Whether a file has entries of scenarios, not options of a command."""
    entries = (
        isinstance(document, Mapping) and document and all(isinstance(v, Mapping) for v in document.values())
    )
    return bool(entries) and not any(name.partition(".")[0] in options for name in document)


def options_of(document: Mapping[str, Any], origin: str, scenario: str) -> dict[str, Any]:
    """The options of a training on a scenario: the file's `default`, and the scenario's own entry over that.

    Args:
        document: from names of scenarios to hyperparameters.
        origin: names it in errors; called by an algorithm, it says that, too.
        scenario: name.

    Raises:
        SnakegymError: there is no entry for it, or one that we cannot honour.
    """
    if scenario not in document and "default" not in document:
        raise SnakegymError(f"{origin}: found no entry '{scenario}' and no 'default', expected one of them")
    entry = {**document.get("default", {}), **document.get(scenario, {})}
    algorithm = Path(origin).stem.replace("_", "-")
    found: dict[str, Any] = {"algo": algorithm} if algorithm in ALGORITHMS else {}
    for name, value in entry.items():
        found |= _translated(name, value, entry, f"{origin}: {name}")
    return found


def _translated(name: str, value: Any, entry: Mapping[str, Any], place: str) -> dict[str, Any]:
    if name == "n_timesteps":
        return {"timesteps": int(_number(value, place))}
    if name == "n_envs":
        return {"n_envs": value}
    if name == "n_steps":
        return {"n_steps": int(_number(value, place)) * int(entry.get("n_envs", 1))}
    if name == "train_freq":  # DQN's word for it
        return _translated("n_steps", value, entry, place)
    if name in WHOLE:
        return {name: int(_number(value, place))}
    if name == "policy":
        if value not in POLICIES:
            raise SnakegymError(f"{place}: found {value!r:.60}, expected one of {', '.join(POLICIES)}")
        return {"policy": POLICIES[value]}
    if name in SCHEDULED:
        if isinstance(value, str) and value.startswith(LINEAR):
            return {name: _number(value.removeprefix(LINEAR), place), f"{name}_schedule": "linear"}
        return {name: value}
    if name == "normalize":
        return _normalized(value, place)
    if name == "policy_kwargs":
        return _network(value, place)
    if name in AS_THEY_ARE:
        return {name: value}
    expected = (
        "n_timesteps",
        "n_envs",
        "n_steps",
        "policy",
        *SCHEDULED,
        "normalize",
        "policy_kwargs",
        *AS_THEY_ARE,
        "train_freq",
        *WHOLE,
    )
    raise SnakegymError(f"{place}: unknown, expected one of {', '.join(expected)}")


def _normalized(value: Any, place: str) -> dict[str, Any]:
    """Observations are of order 1 already, so that only rewards are left to be scaled."""
    if isinstance(value, str):
        value = _literal(value, place)
    if isinstance(value, bool):
        return {"normalize_reward": value}
    if isinstance(value, Mapping) and {*value} <= {"norm_obs", "norm_reward", "gamma"}:
        return {"normalize_reward": bool(value.get("norm_reward", True))}
    raise SnakegymError(f"{place}: found {value!r:.60}, expected true, false, or norm_obs and norm_reward")


def _network(value: Any, place: str) -> dict[str, Any]:
    given = _literal(value, place) if isinstance(value, str) else value
    if not isinstance(given, Mapping) or {*given} - {"net_arch"}:
        raise SnakegymError(f"{place}: found {value!r:.80}, expected dict(net_arch=[64, 64])")
    widths = given.get("net_arch", [64, 64])
    if isinstance(widths, Mapping):
        if widths.get("pi") != widths.get("vf"):
            raise SnakegymError(f"{place}: found {value!r:.80}, expected pi and vf to be alike")
        widths = widths["pi"]
    return {"net_arch": list(widths)}


def _literal(text: str, place: str) -> Any:
    """The value of `dict(a=[1, 2])` or `{'a': [1, 2]}`; nothing is run."""
    try:
        return _plain(ast.parse(text.strip(), mode="eval").body)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        raise SnakegymError(f"{place}: found {text!r:.80}, expected plain values in dict(…)") from None


def _plain(node: ast.expr) -> Any:
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "dict"
        and not node.args
    ):
        return {str(k.arg): _plain(k.value) for k in node.keywords if k.arg is not None}
    if isinstance(node, ast.List | ast.Tuple):
        return [_plain(element) for element in node.elts]
    return ast.literal_eval(node)


def _number(value: Any, place: str) -> float:
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value)
    except (TypeError, ValueError):
        raise SnakegymError(f"{place}: found {value!r:.60}, expected a number") from None
