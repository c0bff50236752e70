"""A process as plain data: all that it carries from hop to hop, without network, samples and code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from snakegym.control.progress.plain import Plain
from snakegym.errors import SnakegymError
from snakegym.models.state import LayerState
from snakegym.models.store import Key


@dataclass(frozen=True)
class ProcessCheckpoint:
    """What `ProcessController.restore` needs beside the controller's own arguments to go on bit-exactly.

    Nothing in it is code: `torch.load(weights_only=True)` reads the tensors, `json` the rest.
    """

    layers: tuple[LayerState, ...]
    """The tensors of every layer of every model that the process may still need and has, each once."""
    journal: Plain
    """Everything else; in it stands which layer each is, and in which version."""

    @property
    def keys(self) -> tuple[Key, ...]:
        """Layer and version of each of `layers`."""
        return tuple((layer, version) for layer, version in self.journal["model"]["layers"])


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
