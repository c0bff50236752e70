"""A scenario as a whole, and where it comes from: a name, a file, text, or plain data."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from reprlib import Repr
from typing import Annotated, Any, Final

from pydantic import Field, ValidationError, model_validator

from snakegym.documents import parse_json, parse_yaml
from snakegym.errors import SnakegymError
from snakegym.files import read_text, user_path
from snakegym.plugins import is_path
from snakegym.scenario.learning import DataConfig, LearningConfig, ModelConfig
from snakegym.scenario.network import NetworkConfig
from snakegym.scenario.process import Objective, PoolConfig, ProcessConfig
from snakegym.scenario.section import Line, PathText, Section

SUFFIXES: Final = (".yaml", ".yml", ".json")
"""Of the files that hold a scenario."""
NO_FOLDER: Final = ("generated", "folder")
"""Sources of traces that are no folder's name."""
FAULTS_SHOWN = 8

_short = Repr()
_short.maxstring = _short.maxother = _short.maxlong = 60
_short.maxlist = _short.maxlevel = 2


class Scenario(Section):
    """A decision problem: data, model, learning, network, process and objective."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=64)]
    """Lower-case letters, digits and hyphens."""
    summary: Line
    """What is special about it."""
    data: DataConfig = DataConfig()
    """Samples, and how they are spread over the nodes."""
    model: ModelConfig = ModelConfig()
    """What is trained."""
    learning: LearningConfig = LearningConfig()
    """How a node trains it."""
    network: NetworkConfig
    """Nodes, links, and how parameters travel."""
    pool: PoolConfig = PoolConfig()
    """Who is accepted as a node."""
    process: ProcessConfig
    """Rules and budget."""
    objective: Objective
    """What is traded off."""
    fitted: PathText | None = None
    """What `snakegym fit` wrote, from which planners know what hops bring; null: the file `mine.fitted.json`
    beside a scenario's file `mine.yaml`, else what ships with snakegym, if they belong to this scenario. In a
    scenario file: relative to that file."""

    @model_validator(mode="after")
    def _consistent(self) -> Scenario:
        k = self.process.parallel
        if k > 1 and self.network.mode == "p2p":
            raise ValueError(f"process.parallel is {k}, expected 1 in mode p2p, which has no PCE to average")
        if k > self.network.nodes:
            raise ValueError(f"process.parallel is {k}, expected at most network.nodes, {self.network.nodes}")
        apart = self.data.text is not None and bool(self.data.text.set_apart)
        if apart != (self.model.pretraining is not None):
            found = "data.text.set_apart" if apart else "model.pretraining"
            raise ValueError(f"{found} is given alone, expected data.text.set_apart and model.pretraining")
        return self


def list_scenarios() -> tuple[str, ...]:
    """Names of the scenarios that ship with snakegym, sorted."""
    folder = resources.files("snakegym") / "scenarios"
    return tuple(sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml")))


def load_scenario(scenario: str | Path | Mapping[str, Any] | Scenario) -> Scenario:
    """The scenario of that name, from that file (`.yaml`, `.yml` or `.json`), or in that plain data.

    Folders and Python files that a scenario's file names (`data.root`, `network.traces.source`,
    `model.name: mine.py:Net`) are relative to where it lies.

    Raises:
        SnakegymError: unknown name; a file that is missing, no regular one, too large or no mapping; a
            name given twice in it; or a field that is missing, unknown, of a wrong type or out of range
            (all offending fields are named).
    """
    if isinstance(scenario, Scenario):
        return scenario
    if isinstance(scenario, Mapping):
        return _validated(dict(scenario), "scenario")
    if not isinstance(scenario, str | Path):
        raise SnakegymError(
            f"scenario: found {_short.repr(scenario)}, expected a name, a file, or a scenario's fields"
        )
    if not str(scenario).endswith(SUFFIXES):
        return _shipped(str(scenario))
    path = user_path(scenario)
    text = read_text(path, "the scenario")
    found = parse_scenario(text, str(scenario))
    if found.fitted is None and (beside := fitted_beside(path)).is_file():
        found = found.model_copy(update={"fitted": beside.name})
    return _relative_to(path.parent, found, str(scenario))


def fitted_beside(path: Path) -> Path:
    """Where `snakegym fit` writes what it fitted to the scenario of that file, and where it is looked for."""
    return path.with_name(f"{path.stem}.fitted.json")


def parse_scenario(text: str, origin: str) -> Scenario:
    """The scenario in `text`: JSON if `origin` ends in `.json`, else YAML; `origin` names it in errors.

    Raises SnakegymError as `load_scenario`.
    """
    parse = parse_json if origin.endswith(".json") else parse_yaml
    return _validated(parse(text, origin), origin)


def _validated(data: Any, origin: str) -> Scenario:
    if not isinstance(data, dict):
        raise SnakegymError(
            f"{origin}: found {type(data).__name__}, expected a mapping with the fields of a scenario"
        )
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        raise SnakegymError(f"{origin}: {describe_faults(error)}") from None


def _relative_to(folder: Path, scenario: Scenario, origin: str) -> Scenario:
    """The scenario with the folders and Python files that it names as absolute paths."""

    def absolute(field: str, path: str) -> str:
        try:
            found = str((folder / user_path(path)).absolute())
            found.encode()
            return found
        except UnicodeEncodeError:
            raise SnakegymError(f"{origin}: lies in {folder}, expected a path that is text") from None
        except SnakegymError as error:
            raise SnakegymError(f"{origin}: field '{field}': {error}") from None

    data, model, traces = scenario.data, scenario.model, scenario.network.traces
    if data.root is not None:
        data = data.model_copy(update={"root": absolute("data.root", data.root)})
    if is_path(data.dataset):
        data = data.model_copy(update={"dataset": absolute("data.dataset", data.dataset)})
    if is_path(model.name):
        model = model.model_copy(update={"name": absolute("model.name", model.name)})
    if data.text is not None and data.text.tokenizer is not None:
        own = absolute("data.text.tokenizer", data.text.tokenizer)
        data = data.model_copy(update={"text": data.text.model_copy(update={"tokenizer": own})})
    if model.weights is not None:
        model = model.model_copy(update={"weights": absolute("model.weights", model.weights)})
    if traces.source not in NO_FOLDER:
        traces = traces.model_copy(update={"source": absolute("network.traces.source", traces.source)})
    network = scenario.network.model_copy(update={"traces": traces})
    fitted = None if scenario.fitted is None else absolute("fitted", scenario.fitted)
    changes = {"data": data, "model": model, "network": network, "fitted": fitted}
    return scenario.model_copy(update=changes)


@cache
def _shipped(name: str) -> Scenario:
    if name not in list_scenarios():
        known = ", ".join(list_scenarios())
        raise SnakegymError(
            f"unknown scenario {name!r:.80}: expected one of {known}, or the path of a .yaml or .json file"
        )
    text = (resources.files("snakegym") / "scenarios" / f"{name}.yaml").read_text(encoding="utf-8")
    return parse_scenario(text, f"scenario '{name}'")


def describe_faults(error: ValidationError, name: str = "field '{}'") -> str:
    """What pydantic objects to in a section, in one line: each field, found value and rule.

    Args:
        error: of the section.
        name: how a field is called, with its path for `{}`.
    """
    faults = [_describe(fault, name) for fault in error.errors()]
    more = f"; and {len(faults) - FAULTS_SHOWN} more" if len(faults) > FAULTS_SHOWN else ""
    return "; ".join(faults[:FAULTS_SHOWN]) + more


def _describe(error: Any, name: str) -> str:
    message: str = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return message
    shown = error["type"] != "missing" and not isinstance(error["input"], dict)
    found = f" (found {_short.repr(error['input'])})" if shown else ""
    path = repr(".".join(map(str, error["loc"])))[1:-1]
    return f"{name.format(path[:200])}: {message}{found}"
