"""Model parameters as an immutable value: handed on by reference, replaced layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from snakegym.errors import SnakegymError

LayerState = Mapping[str, Tensor]
"""Name to parameter or buffer of one layer; beside a weight perhaps its scales, and low-rank adapters."""

A, B = ".lora_a", ".lora_b"
"""Suffixes of the names of a weight's adapters, [rank, n_in] and [n_out, rank]."""


class ModelState:
    """The tensors of every layer of a model. Nobody writes into them: updates make new ones."""

    __slots__ = ("__weakref__", "layers")

    def __init__(self, layers: tuple[LayerState, ...]) -> None:
        self.layers = layers

    def __len__(self) -> int:
        return len(self.layers)

    def replace(self, layers: Mapping[int, LayerState]) -> ModelState:
        """A state in which the given layers are new and all others the same objects."""
        return ModelState(tuple(layers.get(i, old) for i, old in enumerate(self.layers)))

    def __deepcopy__(self, memo: dict[int, Any]) -> ModelState:
        return self  # immutable, so a copy may share it


def check_like(found: Sequence[LayerState], expected: Sequence[LayerState]) -> None:
    """Raise SnakegymError unless these are tensors of the same names, shapes and types.

    Adapters may have come to weights or gone, if they fit.
    """
    ours, theirs = (
        [
            {name: (tuple(t.shape), t.dtype) for name, t in layer.items() if not name.endswith((A, B))}
            for layer in layers
        ]
        for layers in (found, expected)
    )
    for i, layer in enumerate(found):
        if not all(fits(layer, name) for name in layer if name.endswith((A, B))):
            raise SnakegymError(f"checkpoint: found adapters in layer {i} that fit no weight of it")
    if ours != theirs:
        place = next(
            (i for i, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]), None
        )
        what = f"{len(ours)} layers, not {len(theirs)}" if place is None else f"another layer {place}"
        raise SnakegymError(f"checkpoint: found {what}")


def fits(layer: LayerState, name: str) -> bool:
    """Whether that is one of a pair of adapters, which lie beside a weight of the layer."""
    weight = layer.get(name[: -len(A)])
    a, b = (layer.get(name[: -len(A)] + suffix) for suffix in (A, B))
    if weight is None or a is None or b is None or a.ndim != 2 or b.ndim != 2:
        return False
    fits = len(a) == b.shape[1] and len(b) == len(weight)
    return fits and a.dtype.is_floating_point and b.dtype.is_floating_point
