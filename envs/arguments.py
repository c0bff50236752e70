"""Arguments of the environments: checked before anything is loaded, and as plain data for a spec."""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from typing import Any, get_args

from gymnasium.envs.registration import EnvSpec

from snakegym.envs.forms import Form
from snakegym.errors import SnakegymError
from snakegym.learning.stacked.engine import EngineKind, check_device
from snakegym.scenario import LayerOrder, Scenario, Split

RENDER_MODES = ("ansi", "rgb_array")
_CHOICES: dict[str, tuple[str | None, ...]] = {
    "split": get_args(Split),
    "layer_order": (*get_args(LayerOrder), None),
    "render_mode": (*RENDER_MODES, None),
    "engine": get_args(EngineKind),
    "observation": get_args(Form),
}


def check_choices(**arguments: Any) -> None:
    """Raise SnakegymError for the first of these arguments of an environment that is none of its choices."""
    for name, value in arguments.items():
        if not any(
            value is choice or (isinstance(value, str) and value == choice) for choice in _CHOICES[name]
        ):
            raise SnakegymError(f"{name}: {_found(value)}, expected {_listed(_CHOICES[name])}")


def checked_device(device: Any, engine: EngineKind) -> str:
    """The name of a device that the engine can use. Raises SnakegymError if it is none."""
    if not isinstance(device, str):
        raise SnakegymError(f"device: {_found(device)}, expected the name of a device, as cpu or cuda")
    check_device(device, engine)
    return device


def checked_folder(name: str, value: Any) -> str | None:
    """The path as text. Raises SnakegymError if it is neither a path nor None."""
    if value is None or (isinstance(value, str | os.PathLike) and isinstance(os.fspath(value), str)):
        return None if value is None else str(os.fspath(value))
    raise SnakegymError(f"{name}: {_found(value)}, expected the path of a folder or None")


def checked_keys(**keys: Any) -> None:
    """Raise SnakegymError unless these keys of a dict are texts that differ."""
    for name, value in keys.items():
        if not isinstance(value, str) or not value:
            raise SnakegymError(f"{name}: {_found(value)}, expected a text that is not empty")
    if len(set(keys.values())) < len(keys):
        raise SnakegymError(f"{', '.join(keys)}: found {value!r} for all, expected keys that differ")


def checked_count(name: str, value: Any) -> int:
    """The value as an integer. Raises SnakegymError if it is no integer of 1 or more."""
    try:
        count = -1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        count = -1
    if count < 1:
        raise SnakegymError(f"{name}: {_found(value)}, expected an integer of 1 or more")
    return count


def plain_spec(spec: EnvSpec | None) -> EnvSpec | None:
    """The spec with arguments that JSON can hold, so that `spec.to_json()` works for every environment."""
    if spec is None:
        return None
    return replace(spec, kwargs={name: _plain(value) for name, value in spec.kwargs.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, Scenario):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Enum):
        return value.value
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _found(value: Any) -> str:
    kind = "" if isinstance(value, str) or value is None else f" ({type(value).__name__})"
    return f"found {value!r:.80}{kind}"


def _listed(choices: Sequence[str | None]) -> str:
    *most, last = (str(choice) for choice in choices)
    return f"{', '.join(most)} or {last}" if most else last
