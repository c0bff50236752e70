"""What a comparison keeps on the disk of each framework and seed, and how it is read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from snakegym.documents import parse_json
from snakegym.errors import SnakegymError
from snakegym.frameworks.records import RoundRecord
from snakegym.training.runs.folder import replacing

Model = TypeVar("Model", bound=BaseModel)
MOST_NATS = 700.0
"""Of which the exponential still is a number."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Accuracies(_Strict):
    """Of a model on two parts of the data, in [0, 1]."""

    validation: float
    test: float
    test_loss: float | None = None
    """In nats."""


class PieceResult(_Strict):
    """A framework that was trained on a seed to the end."""

    framework: str
    seed: int
    device: str
    torch: str
    wall_s: float
    samples: list[int]
    """Of each node."""
    model_bytes: float
    initial: Accuracies
    """Of the model before the first round."""
    rounds: list[RoundRecord]
    journal: dict[str, Any]
    """What happened in the rounds: for Snake Learning its hops."""
    metric: str = "accuracy"
    """What people call what is measured (`Task.metric`)."""
    topics: dict[str, float] = {}
    """Of texts, the loss on each topic's test samples after the last round, in nats."""


class _Progress(_Strict):
    """All of a checkpoint but its tensors."""

    journal: dict[str, Any]
    records: list[RoundRecord]
    wall_s: float


class Saved(NamedTuple):
    """A checkpoint of a framework under way."""

    layers: list[dict[str, Tensor]]
    journal: dict[str, Any]
    records: list[RoundRecord]
    wall_s: float


def read_result(
    path: Path, framework: str | None = None, seed: int | None = None, *, rounds: int
) -> PieceResult:
    """The finished piece in a file, of that framework and seed (None: any).

    Raises:
        SnakegymError: it holds something else, or a piece of another framework, seed or number of rounds.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise SnakegymError(f"{path}: cannot read this result: {error}") from None
    result = _parse(PieceResult, text, path, "train it again")
    for field, found, expected in (
        ("framework", result.framework, framework),
        ("seed", result.seed, seed),
        ("rounds", len(result.rounds), rounds),
    ):
        if expected is not None and found != expected:
            raise SnakegymError(
                f"{path}: field '{field}': found {found!r}, expected {expected!r} "
                "(delete the file to train it again)"
            )
    return result


def write_checkpoint(path: Path, saved: Saved) -> None:
    """Write a checkpoint in one step. Raises SnakegymError if that is impossible."""
    progress = _Progress(journal=saved.journal, records=saved.records, wall_s=saved.wall_s)
    # The journal may hold infinities (a full battery), which only Python's json keeps.
    text = json.dumps(progress.model_dump())
    with replacing(path) as temporary:
        torch.save({"layers": saved.layers, "text": text}, temporary)


def read_checkpoint(path: Path) -> Saved:
    """The checkpoint in a file; runs no code from it. Raises SnakegymError if it holds something else."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever damaged bytes lead torch to
        raise SnakegymError(
            f"{path}: cannot read this checkpoint ({type(error).__name__}): delete the file to start over"
        ) from None
    layers, text = (content.get(key) if isinstance(content, dict) else None for key in ("layers", "text"))
    if not isinstance(text, str) or not isinstance(layers, list) or not all(map(_is_layer, layers)):
        raise SnakegymError(
            f"{path}: found something else, expected a checkpoint of this comparison: "
            "delete the file to start over"
        )
    progress = _parse(_Progress, text, path, "start over")
    return Saved(layers, progress.journal, progress.records, progress.wall_s)


def _is_layer(found: Any) -> bool:
    return isinstance(found, dict) and all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in found.items()
    )


def _parse(kind: type[Model], text: str, path: Path, way_out: str) -> Model:
    try:
        parse_json(text, str(path), finite=False)  # pydantic takes a name that is given twice
        return kind.model_validate_json(text)
    except SnakegymError as error:
        raise SnakegymError(f"{error}: delete the file to {way_out}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        found = str(first["input"])
        place = f"field '{field}': " if field else ""
        raise SnakegymError(
            f"{path}: {place}{first['msg']} (found {found[:40]!r}): delete the file to {way_out}"
        ) from None


def perplexity(loss: float) -> float:
    """exp(loss), at most what float64 holds: tables and JSON have no infinity."""
    return float(np.exp(min(loss, MOST_NATS)))
