"""A scenario as a whole, and where it comes from: a name, a YAML file, or text."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError, model_validator

from snakegym.errors import SnakegymError
from snakegym.scenario.learning import DataConfig, LearningConfig, ModelConfig
from snakegym.scenario.network import NetworkConfig
from snakegym.scenario.process import Objective, PoolConfig, ProcessConfig
from snakegym.scenario.section import Section


class Scenario(Section):
    """A decision problem: data, model, learning, network, process and objective."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    summary: str
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    learning: LearningConfig = LearningConfig()
    network: NetworkConfig
    pool: PoolConfig = PoolConfig()
    process: ProcessConfig
    objective: Objective

    @model_validator(mode="after")
    def _consistent(self) -> Scenario:
        k = self.process.parallel
        if k > 1 and self.network.mode == "p2p":
            raise ValueError(f"process.parallel is {k}, expected 1 in mode p2p, which has no PCE to average")
        if k > self.network.nodes:
            raise ValueError(f"process.parallel is {k}, expected at most network.nodes, {self.network.nodes}")
        return self


def list_scenarios() -> tuple[str, ...]:
    """Names of the scenarios that ship with snakegym, sorted."""
    folder = resources.files("snakegym") / "scenarios"
    return tuple(sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml")))


def load_scenario(scenario: str | Path | Scenario) -> Scenario:
    """The scenario of that name, or from that YAML file (a path ends in `.yaml` or `.yml`).

    Raises:
        SnakegymError: unknown name, missing file, text that is no YAML mapping, or a field that
            is missing, unknown or out of range (all offending fields are named).
    """
    if isinstance(scenario, Scenario):
        return scenario
    if str(scenario).endswith((".yaml", ".yml")):
        return parse_scenario(_read(Path(scenario)), str(scenario))
    return _shipped(str(scenario))


def parse_scenario(text: str, origin: str) -> Scenario:
    """The scenario in YAML `text`; `origin` names it in errors. Raises SnakegymError as `load_scenario`."""
    try:
        data: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SnakegymError(f"{origin}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise SnakegymError(
            f"{origin}: found {type(data).__name__}, expected a mapping with the fields of a scenario"
        )
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        raise SnakegymError(f"{origin}: " + "; ".join(_describe(e) for e in error.errors())) from None


@cache
def _shipped(name: str) -> Scenario:
    if name not in list_scenarios():
        known = ", ".join(list_scenarios())
        raise SnakegymError(
            f"unknown scenario '{name}': expected one of {known}, or the path of a .yaml file"
        )
    file = resources.files("snakegym") / "scenarios" / f"{name}.yaml"
    return parse_scenario(_read(file), f"scenario '{name}'")


def _read(path: Any) -> str:
    try:
        text: str = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SnakegymError(f"{path}: cannot read the scenario: {error}") from None
    return text


def _describe(error: Any) -> str:
    message: str = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return message
    shown = error["type"] != "missing" and not isinstance(error["input"], dict)
    found = f" (found {error['input']!r})" if shown else ""
    return f"field '{'.'.join(str(part) for part in error['loc'])}': {message}{found}"
