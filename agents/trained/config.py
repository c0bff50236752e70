"""What a training run says of itself in its `config.json`, read without running code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from snakegym.agents.hyperparameters import Policy, Width
from snakegym.documents import parse_json
from snakegym.errors import SnakegymError
from snakegym.files import read_text

CONFIG = "config.json"
MOST_CONFIG_BYTES = 2**22

_Count = Annotated[int, Field(ge=1, le=10**7)]


class Plain(BaseModel):
    """Of these types and no others, with fields that are not asked for left out."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)


class Sizes(Plain):
    """Of the decision problem that a policy was trained for."""

    nodes: _Count
    layers: _Count
    actions: _Count

    def __str__(self) -> str:
        return f"{self.nodes} nodes, {self.layers} layers and {self.actions} actions"


class Network(Plain):
    """Of a policy: see `Hyperparameters`."""

    policy: Policy
    width: Width = 1
    net_arch: Annotated[list[Width], Field(max_length=16)] = []


class RunConfig(Plain):
    """What must stand in the config.json of a training run for its policy to be built again."""

    algo: str
    seed: Annotated[int, Field(ge=0)]
    run_id: str
    masked: bool
    """Whether the policy takes action masks."""
    ppo: Network
    sizes: Sizes
    versions: dict[str, str]
    scenario: dict[str, Any]


def scenarios_of(config: RunConfig) -> list[dict[str, Any]]:
    """What a policy was trained on: one scenario, or several."""
    several = config.scenario.get("each_of")
    return several if isinstance(several, list) else [config.scenario]


def read_config(folder: Path) -> RunConfig:
    """The config of a run.

    Raises:
        SnakegymError: there is none, it cannot be read, or it has another shape.
    """
    path = folder / CONFIG
    if not path.exists():
        raise SnakegymError(f"{folder}: found no config.json, expected the folder of a training run")
    text = read_text(path, "the config of the run", MOST_CONFIG_BYTES)
    parse_json(text, f"{path}: cannot read the config of the run", finite=False)  # pydantic takes repeats
    try:
        return RunConfig.model_validate_json(text)
    except ValidationError as error:
        raise SnakegymError(_what_is_wrong(path, error)) from None


def _what_is_wrong(path: Path, error: ValidationError) -> str:
    errors = error.errors()
    missing = [str(e["loc"][0]) for e in errors if e["type"] == "missing" and len(e["loc"]) == 1]
    if missing and not {"algo", "scenario"} & {*missing}:
        return (
            f"{path}: found no field '{missing[0]}': the run was made by an older version of snakegym, whose "
            "policies this one cannot build: train it again"
        )
    return (
        f"{path}: {one_line(error)}; expected the fields 'algo' and 'scenario' of a training run, and others"
    )


def one_line(error: ValidationError) -> str:
    """The first thing that pydantic found wrong."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"field '{place}': {first['msg']}" if place else str(first["msg"])
