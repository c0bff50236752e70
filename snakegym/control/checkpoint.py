"""A process as plain data: all that it carries from hop to hop, without network, data and code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from snakegym.control.records import Hop, PoolEvent, Recovery
from snakegym.errors import SnakegymError
from snakegym.models.state import LayerState, ModelState

Plain = dict[str, Any]
"""JSON data; numbers may be infinite or nan, as Python's json writes and reads them."""

Record = TypeVar("Record", Hop, PoolEvent, Recovery)


@dataclass(frozen=True)
class ProcessCheckpoint:
    """What `ProcessController.restore` needs beside the controller's own arguments to go on bit-exactly.

    Nothing in it is code: `torch.load(weights_only=True)` reads the tensors, `json` the rest.
    """

    layers: tuple[LayerState, ...]
    """The tensors of every layer of every model that the process may still need, each once."""
    journal: Plain
    """Everything else; models are lists of indices into `layers`."""


class Shelf:
    """Layers by number, each kept once however many models share it."""

    def __init__(self, layers: Sequence[LayerState] = ()) -> None:
        self.layers = list(layers)
        self._places = {id(layer): place for place, layer in enumerate(self.layers)}

    def put(self, state: ModelState) -> list[int]:
        """The numbers of the model's layers, which are here from now on."""
        for layer in state.layers:
            if id(layer) not in self._places:
                self._places[id(layer)] = len(self.layers)
                self.layers.append(layer)
        return [self._places[id(layer)] for layer in state.layers]

    def take(self, places: Sequence[int]) -> ModelState:
        """The model whose layers have these numbers."""
        return ModelState(tuple(self.layers[place] for place in places))


def keep(owner: object, names: Sequence[str]) -> Plain:
    """These attributes (arrays and numbers) of `owner` as plain data."""
    found = {name: getattr(owner, name) for name in names}
    return {name: v.tolist() if isinstance(v, np.ndarray) else v for name, v in found.items()}


def put_back(owner: object, names: Sequence[str], kept: Plain) -> None:
    """Give `owner` the attributes that `keep` gave.

    Raises:
        SnakegymError: an array of another shape: the checkpoint is of another process.
    """
    for name in names:
        value, now = kept[name], getattr(owner, name)
        if isinstance(now, np.ndarray):
            value = np.array(value, dtype=now.dtype)
            if value.shape != now.shape:
                raise SnakegymError(
                    f"checkpoint, field '{name.lstrip('_')}': found shape {list(value.shape)}, "
                    f"expected {list(now.shape)} as in this process"
                )
        setattr(owner, name, value)


def keep_records(records: Sequence[Record]) -> list[Plain]:
    """Dataclasses as plain data."""
    return [asdict(record) for record in records]


def records_of(kind: type[Record], kept: Sequence[Plain]) -> list[Record]:
    """What `keep_records` was given.

    Raises:
        SnakegymError: one of them has a wrong shape.
    """
    try:
        return TypeAdapter(list[kind]).validate_python(kept)  # type: ignore[valid-type]
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SnakegymError(f"checkpoint, field '{kind.__name__}.{place}': {first['msg']}") from None
