"""Model parameters as an immutable value: handed on by reference, replaced layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

LayerState = Mapping[str, Tensor]
"""Name to parameter or buffer of one layer."""


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
