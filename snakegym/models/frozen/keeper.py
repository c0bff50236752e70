"""Counts the activations that autograd keeps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from snakegym.models.layered import LayeredModel


class Keeper:
    """Counts what autograd keeps, each storage once, parameters and buffers of the model left out.

    Args:
        model: whose layers are run.
        others: further tensors that are not to be counted.
    """

    def __init__(self, model: LayeredModel, others: Sequence[Tensor] = ()) -> None:
        own = (*model.parameters(), *model.buffers(), *others)
        self._seen = {t.untyped_storage()._cdata for t in own}
        self._alive: list[Tensor] = []  # so that the allocator cannot hand out an address again
        self._kept = 0

    def run(self, layer: nn.Module, x: Tensor) -> tuple[Tensor, int]:
        """The layer's outputs, and the bytes that it keeps and that no layer before it kept."""
        self._kept = 0
        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(self._keep, lambda tensor: tensor):
            x = layer(x)
        return x, self._kept

    def _keep(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self._seen:  # its own address: on the device `meta` data have none
            self._seen.add(storage._cdata)
            self._alive.append(tensor)
            self._kept += storage.nbytes()
        return tensor
