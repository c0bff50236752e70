"""A sweep file as Weights & Biases takes it, read strictly: what is unknown is refused by name."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from snakegym.documents import parse_yaml
from snakegym.errors import SnakegymError
from snakegym.files import read_text, user_path
from snakegym.training.sweep.parameters import MOST_POINTS, Parameter, read_parameters

KEYS = (
    "program",
    "command",
    "method",
    "metric",
    "parameters",
    "early_terminate",
    "run_cap",
    "name",
    "description",
    "project",
    "entity",
)
METHODS = ("grid", "random", "bayes")
GOALS = ("minimize", "maximize")
COMMAND = ("${env}", "${interpreter}", "${program}", "${args}")
"""What W&B runs where the file says no command."""
ARGUMENTS = ("${args}", "${args_no_equals}", "${args_no_boolean_flags}")
"""Macros for the parameters that our command line understands."""
ENVIRONMENT = re.compile(r"\$\{envvar:([A-Za-z0-9_]+)\}")


@dataclass(frozen=True)
class Stopping:
    """Successive halving: of the trials that got so far, the best of every `eta` go on."""

    min_iter: int
    """First look, at the so-manieth logged value of the metric; later ones at `eta` times as many."""
    eta: int


@dataclass(frozen=True)
class Sweep:
    """What a sweep file says."""

    name: str
    method: Literal["grid", "random", "bayes"]
    metric: str | None
    maximize: bool
    parameters: tuple[Parameter, ...]
    arguments: tuple[str, ...]
    """Of every training, before those of the trial."""
    stopping: Stopping | None
    run_cap: int | None
    document: Mapping[str, Any]
    """The file as it is, for W&B."""

    @property
    def n_points(self) -> int:
        """Of the grid."""
        return math.prod(len(p.points()) for p in self.parameters)

    def point(self, number: int) -> dict[str, float]:
        """The variables of a point of the grid, the last parameter first in turn."""
        found: dict[str, float] = {}
        for parameter in reversed(self.parameters):
            points = parameter.points()
            number, place = divmod(number, len(points))
            found[parameter.name] = points[place]
        return {p.name: found[p.name] for p in self.parameters}

    def values(self, variables: Mapping[str, float]) -> dict[str, Any]:
        """What the variables of all parameters stand for."""
        return {p.name: p.value(variables[p.name]) for p in self.parameters}


def list_sweeps() -> tuple[str, ...]:
    """Names of the sweep files that ship with snakegym, sorted."""
    folder = resources.files("snakegym.training") / "sweeps"
    return tuple(sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml")))


def load_sweep(name: str) -> Sweep:
    """The sweep in that file, or of that name among those that ship with snakegym.

    Raises:
        SnakegymError: no such file, or anything in it is unknown, missing or impossible.
    """
    if not name.endswith((".yaml", ".yml")):
        if name not in list_sweeps():
            known = ", ".join(list_sweeps())
            raise SnakegymError(f"unknown sweep {name!r:.80}: expected one of {known}, or a .yaml file")
        text = (resources.files("snakegym.training") / "sweeps" / f"{name}.yaml").read_text(encoding="utf-8")
        return parse_sweep(text, f"sweep '{name}'", name)
    path = user_path(name)
    return parse_sweep(read_text(path, "the sweep file"), name, path.stem)


def parse_sweep(text: str, origin: str, name: str = "sweep") -> Sweep:
    """The sweep in a text.

    Args:
        text: YAML.
        origin: names it in errors.
        name: of the sweep, if the text gives none.

    Raises:
        SnakegymError: as `load_sweep`.
    """
    document = parse_yaml(text, origin)
    try:
        return _read(document, name)
    except SnakegymError as error:
        raise SnakegymError(f"{origin}: {error}") from None


def _read(document: Any, name: str) -> Sweep:
    if not isinstance(document, dict):
        raise SnakegymError(f"found {type(document).__name__}, expected a mapping with {', '.join(KEYS)}")
    for key in document:
        if key not in KEYS:
            raise SnakegymError(f"unknown key '{key}', expected one of {', '.join(KEYS)}")
    method = document.get("method")
    if method not in METHODS:
        raise SnakegymError(f"method: found {method!r:.60}, expected one of {', '.join(METHODS)}")
    metric, maximize = _metric(document.get("metric"), method)
    parameters = tuple(read_parameters(document.get("parameters")))
    twice = [p.name for i, p in enumerate(parameters) if p.name in [q.name for q in parameters[:i]]]
    if twice:
        raise SnakegymError(f"parameters: found '{twice[0]}' twice, expected each name once")
    run_cap = document.get("run_cap")
    if run_cap is not None and (type(run_cap) is not int or run_cap < 1):
        raise SnakegymError(f"run_cap: found {run_cap!r:.60}, expected a whole number of 1 or more")
    sweep = Sweep(
        name=str(document.get("name") or name),
        method=method,
        metric=metric,
        maximize=maximize,
        parameters=parameters,
        arguments=_arguments(document),
        stopping=_stopping(document.get("early_terminate"), metric),
        run_cap=run_cap,
        document=document,
    )
    if method == "grid" and sweep.n_points > MOST_POINTS:
        raise SnakegymError(f"parameters: found {sweep.n_points} points, expected at most {MOST_POINTS}")
    return sweep


def _metric(given: Any, method: str) -> tuple[str | None, bool]:
    if given is None and method != "bayes":
        return None, False
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        raise SnakegymError(f"metric: found {given!r:.60}, expected a name and a goal")
    for key in given:
        if key not in ("name", "goal"):
            raise SnakegymError(f"metric: unknown key '{key}', expected name and goal")
    goal = given.get("goal", "minimize")
    if goal not in GOALS:
        raise SnakegymError(f"metric.goal: found {goal!r:.60}, expected one of {', '.join(GOALS)}")
    return given["name"], goal == "maximize"


def _stopping(given: Any, metric: str | None) -> Stopping | None:
    """As W&B's hyperband: brackets from `min_iter` upwards, or from `max_iter` downwards `s` times."""
    if given is None:
        return None
    if not isinstance(given, dict) or given.get("type") != "hyperband":
        raise SnakegymError(f"early_terminate: found {given!r:.60}, expected the type hyperband")
    for key in given:
        if key not in ("type", "min_iter", "max_iter", "s", "eta", "strict"):
            raise SnakegymError(
                f"early_terminate: unknown key '{key}', expected min_iter, max_iter, s and eta"
            )
    if given.get("strict"):
        raise SnakegymError("early_terminate.strict: found true, which W&B's own server alone can do")
    numbers = {"eta": 3, **{key: value for key, value in given.items() if key not in ("type", "strict")}}
    for key, value in numbers.items():
        least = 2 if key == "eta" else 1
        if type(value) is not int or not least <= value <= 10**6:
            raise SnakegymError(
                f"early_terminate.{key}: found {value!r:.60}, expected a whole number of {least} or more"
            )
    if metric is None:
        raise SnakegymError("early_terminate: found no metric, expected one to go by")
    if ("min_iter" in numbers) == ("max_iter" in numbers) or ("max_iter" in numbers) != ("s" in numbers):
        raise SnakegymError("early_terminate: expected min_iter, or max_iter with s")
    first = numbers.get("min_iter") or math.ceil(numbers["max_iter"] / numbers["eta"] ** numbers["s"])
    return Stopping(max(1, first), numbers["eta"])


def _arguments(document: Mapping[str, Any]) -> tuple[str, ...]:
    """What the command gives to `snakegym train`, beside the parameters."""
    program = document.get("program")
    command = document.get("command", list(COMMAND))
    if not isinstance(command, list) or not all(isinstance(word, str | int | float) for word in command):
        raise SnakegymError(f"command: found {command!r:.80}, expected a list of words")
    words = [ENVIRONMENT.sub(lambda m: os.environ.get(m[1], ""), str(word)) for word in command]
    words = [str(program) if word == "${program}" else word for word in words]
    if not any(macro in words for macro in ARGUMENTS):
        raise SnakegymError(f"command: found none of {', '.join(ARGUMENTS)} in it, expected one")
    words = [word for word in words if word not in (*ARGUMENTS, "${env}", "${interpreter}")]
    other = [word for word in words if word.startswith("${")]
    if other:
        raise SnakegymError(
            f"command: found the macro {other[0]}, which our command line does not understand"
        )
    run = words[: words.index("train")] if "train" in words else words
    names = [Path(word).name for word in run if word not in ("/usr/bin/env", "python", "python3", "-m")]
    if "train" not in words or names not in (["snakegym"], ["snakegym.training.cli"]):
        raise SnakegymError(
            f"command: found '{' '.join(words):.80}', expected one that runs `snakegym train`, as [${{env}}, "
            "snakegym, train, ${args}] does: without W&B's server no other program can be run"
        )
    return tuple(words[len(run) + 1 :])
