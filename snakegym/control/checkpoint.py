"""A process as plain data: all that it carries from hop to hop, without network, samples and code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from snakegym.control.copies import Copy, Progress
from snakegym.control.plain import Plain, keep, kept
from snakegym.models.state import LayerState, ModelState

_OF_PROGRESS = ("metric", "labels", "versions")
_OF_CYCLE = ("index", "order", "trained_in_cycle", "times_trained", "last_gain")


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

    def put(self, progress: Progress) -> Plain:
        """As plain data; the model's layers are here from now on."""
        return {
            **keep(progress, _OF_PROGRESS),
            "cycle": keep(progress.cycle, _OF_CYCLE),
            "hops": list(progress.hops),
            "state": [self._place(layer) for layer in progress.state.layers],
        }

    def take(self, plain: Plain, like: Progress) -> Progress:
        """What `put` was given, in a process of which `like` is the progress now."""
        return Progress(
            **kept(like, _OF_PROGRESS, plain),
            cycle=replace(like.cycle, **kept(like.cycle, _OF_CYCLE, plain["cycle"])),
            hops=tuple(plain["hops"]),
            state=ModelState(tuple(self.layers[place] for place in plain["state"])),
        )

    def put_copies(self, copies: Sequence[Copy]) -> list[Plain]:
        """As plain data, likewise."""
        return [{"node": c.node, "hop": c.hop, "progress": self.put(c.progress)} for c in copies]

    def take_copies(self, plain: Sequence[Plain], like: Progress) -> list[Copy]:
        """What `put_copies` was given."""
        return [Copy(c["node"], c["hop"], self.take(c["progress"], like)) for c in plain]

    def _place(self, layer: LayerState) -> int:
        if id(layer) not in self._places:
            self._places[id(layer)] = len(self.layers)
            self.layers.append(layer)
        return self._places[id(layer)]
