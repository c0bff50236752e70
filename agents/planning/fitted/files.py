"""The file that `snakegym fit` writes: a scenario's model of gains, its errors, and what it was fitted on."""

from __future__ import annotations

import hashlib
import json
import warnings
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import Field, ValidationError, model_validator

from snakegym.agents.planning.fitted.features import FEATURES
from snakegym.agents.planning.fitted.model import FittedGain
from snakegym.documents import parse_json
from snakegym.errors import SnakegymError, SnakegymWarning
from snakegym.files import read_text
from snakegym.plugins import is_path
from snakegym.scenario import Scenario, Section, describe_faults

VERSION: Final = 1
"""Of the file's form and of the features: whichever changes, files have to be fitted again."""
MOST_BYTES: Final = 2**24
Number = Annotated[float, Field(ge=-1e9, le=1e9)]
Row = Annotated[tuple[Number, ...], Field(min_length=1, max_length=10_000)]
Matrix = Annotated[tuple[Row, ...], Field(min_length=1, max_length=1000)]


class Ahead(Section):
    """How well what `hops` hops in a row bring together is foreseen, on episodes that were held out."""

    hops: Annotated[int, Field(ge=1)]
    r2: float
    """Share of the variance that is explained."""
    mae: float
    """Mean absolute error, in accuracy."""
    bias: float
    """Mean of expected minus measured, in accuracy."""


class HeldOut(Section):
    """Errors on episodes that were held out when it was fitted to the others."""

    episodes: Annotated[int, Field(ge=1)]
    hops: Annotated[int, Field(ge=1)]
    sd: float
    """Standard deviation of a hop's gain."""
    ahead: tuple[Ahead, ...]
    """Of one hop and of several; the model says what each brings, and goes on from what it said."""
    nodes_alone: float
    """R2 of one hop without the layer: a network with one output for all layers."""
    formula: float
    """R2 of one hop by the general formula."""
    optimism: float
    """Mean of expected minus measured, of hops chosen as a model that had not seen them promised most."""
    chosen: Annotated[int, Field(ge=0)]
    """How many hops that is of."""


class FittedOn(Section):
    """What was recorded."""

    split: Literal["train"]
    episodes: int
    hops: int
    seed: int
    snakegym: str


class GainSection(Section):
    """The model of gains; arrays as nested lists, as of `FittedGain`."""

    fingerprint: str
    """Of what it belongs to: see `fingerprint`."""
    features: tuple[str, ...]
    mean: Row
    scale: Row
    weights: tuple[Matrix, Matrix, Matrix]
    biases: tuple[Row, Row, Row]
    lowest: Number
    highest: Number
    ceiling: Annotated[float, Field(ge=0, le=1)]
    held_out: HeldOut
    fitted_on: FittedOn

    @model_validator(mode="after")
    def _consistent(self) -> GainSection:
        if self.features != FEATURES:
            raise ValueError("features: found others than this version of snakegym has, expected a new fit")
        n = len(FEATURES)
        if len(self.mean) != n or len(self.scale) != n or min(self.scale) <= 0:
            raise ValueError(f"mean, scale: expected {n} numbers each, those of scale above 0")
        for weight, bias in zip(self.weights, self.biases, strict=True):
            if len(weight) != n or any(len(row) != len(bias) for row in weight):
                raise ValueError("weights, biases: found shapes that do not fit together")
            n = len(bias)
        return self

    def model(self) -> FittedGain:
        """As a model of gains."""
        return FittedGain(
            np.array(self.mean),
            np.array(self.scale),
            tuple(np.array(w) for w in self.weights),
            tuple(np.array(b) for b in self.biases),
            self.lowest,
            self.highest,
            self.ceiling,
            max(0.0, self.held_out.optimism),
        )


class Fitted(Section):
    """All that was fitted to a scenario."""

    version: Literal[1]
    scenario: str
    """Its name."""
    gain: GainSection
    forecasts: dict[str, Any] | None = None
    """Of rates, as `snakegym.agents.planning.forecasts` writes them; null: none were fitted."""


def fingerprint(scenario: Scenario) -> str:
    """Of the fields on which it depends what a hop brings: files of another one do not belong to it.

    `data` (but for `root`), `model` and `learning` (but for `checkpointed`) as a whole; `network.nodes` and
    `network.mode`; `process.layer_order`, `repeat_layers`, `parallel` and `companions`. Devices, traces,
    budgets, pool and prices change only which hops are tried.
    """
    fields = scenario.model_dump(
        mode="json",
        include={
            "data": True,
            "model": True,
            "learning": True,
            "network": {"nodes", "mode"},
            "process": {"layer_order", "repeat_layers", "parallel", "companions"},
        },
    )
    del fields["data"]["root"], fields["learning"]["checkpointed"]  # what they are makes no difference
    added = (
        ("data", "samples", None),
        ("data", "text", None),
        ("data", "clustering", None),
        ("learning", "trains", "both-ends"),
        ("learning", "lora", None),
        ("model", "weights", None),
        ("model", "pretraining", None),
    )
    for section, field, value in added:
        if fields[section][field] == value:  # as it was before there was a word for it
            del fields[section][field]
    text = fields["data"].get("text") or {}
    if "tokenizer" in text and text["tokenizer"] is None:
        del text["tokenizer"]
    if fields["learning"]["frozen"] == "fp32":  # what it was called then
        fields["learning"]["quantise_frozen"] = not fields["learning"].pop("frozen")
    for section, field in (("data", "dataset"), ("model", "name")):
        if is_path(fields[section][field]):  # of a user's own file, wherever it lies
            fields[section][field] = Path(fields[section][field]).name
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]


def read_fitted(path: Path) -> Fitted:
    """The content of a file; no code in it is run. Raises SnakegymError for whatever is wrong with it."""
    return _parse(read_text(path, "the fitted models", MOST_BYTES), str(path))


def fitted_to(scenario: Scenario) -> Fitted | None:
    """What was fitted to this scenario: the file that it names, else one that ships; None if none belongs.

    Raises SnakegymError if the file that it names is not there or damaged; warns if it belongs to another.
    """
    if scenario.fitted is not None:
        found = read_fitted(Path(scenario.fitted))
        if found.gain.fingerprint == fingerprint(scenario):
            return found
        warnings.warn(
            f"{scenario.fitted}: not used, as data, model, learning or process of scenario '{scenario.name}' "
            "have changed since it was fitted (snakegym fit)",
            SnakegymWarning,
            stacklevel=3,
        )
    return shipped(scenario)


def shipped(scenario: Scenario) -> Fitted | None:
    """What ships with snakegym and belongs to this scenario, whatever it is called; None if nothing does."""
    wanted = fingerprint(scenario)
    files = list(_folder().iterdir()) if _folder().is_dir() else []
    own = f"{scenario.name}.json"
    for file in sorted(files, key=lambda file: (file.name != own, file.name)):
        if file.name.endswith(".json") and not file.name.startswith("."):
            fitted = _read_shipped(str(file))
            if fitted.gain.fingerprint == wanted:
                return fitted
    return None


def shipped_path(name: str) -> Path:
    """Where the file of a shipped scenario lies, or would."""
    return Path(str(_folder() / f"{name}.json"))


def _folder() -> Traversable:
    return resources.files("snakegym") / "scenarios" / "fitted"


@cache
def _read_shipped(path: str) -> Fitted:
    return read_fitted(Path(path))


def _parse(text: str, origin: str) -> Fitted:
    parse_json(text, origin)  # pydantic takes a name that is given twice
    try:
        return Fitted.model_validate_json(text)
    except ValidationError as error:
        hint = "expected what `snakegym fit` writes"
        raise SnakegymError(f"{origin}: {describe_faults(error)}; {hint}") from None
