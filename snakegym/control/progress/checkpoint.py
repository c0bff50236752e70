"""A process as plain data: all that it carries from hop to hop, without network, samples and code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from snakegym.control.progress.plain import Plain, count
from snakegym.errors import SnakegymError
from snakegym.models.state import LayerState, ModelState, check_like


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
        return [self._place(layer) for layer in state.layers]

    def take(self, places: Sequence[int], like: ModelState) -> ModelState:
        """The model whose layers have these numbers. Raises SnakegymError if it is not like that one."""
        taken = [self.layers[count("state", place, below=len(self.layers))] for place in places]
        check_like(taken, like.layers)
        return ModelState(tuple(taken))

    def _place(self, layer: LayerState) -> int:
        if id(layer) not in self._places:
            self._places[id(layer)] = len(self.layers)
            self.layers.append(layer)
        return self._places[id(layer)]


@contextmanager
def reading() -> Iterator[None]:
    """Whatever goes wrong with a checkpoint of a wrong shape is a SnakegymError."""
    try:
        yield
    except SnakegymError:
        raise
    except (LookupError, ArithmeticError, TypeError, ValueError, AttributeError) as error:
        raise SnakegymError(
            f"checkpoint: found {type(error).__name__} at {error}, expected one of a process"
        ) from None
