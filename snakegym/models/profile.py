"""What the layers of a model cost: measured once per model, used for every hop."""

from __future__ import annotations

import copy
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from snakegym.models.layered import LayeredModel
from snakegym.models.quantisable import quantisable_weights
from snakegym.network.costs import (
    CAST_BYTES,
    hop_memory,
    int8_bytes,
    teacher_flops,
    training_flops,
    weight_bytes,
)
from snakegym.scenario import LearningConfig

Floats = npt.NDArray[np.float64]

_SAMPLES = 2


@dataclass(frozen=True)
class ModelProfile:
    """Size and work of every layer, float64 [n_layers] each, first to last."""

    n_bytes: Floats
    """Parameters and buffers of the layer: what a hop moves."""
    forward_flops: Floats
    """Of one sample; products and convolutions, a multiply-add counts as two."""
    activation_bytes: Floats
    """What the layer keeps of one sample for the backward pass when it is trained."""
    frozen_activation_bytes: Floats
    """The same when it only passes gradients on."""
    n_parameters: Floats
    """Parameters of the layer, without buffers."""
    int8_bytes: Floats
    """Parameters and buffers of the layer with its products' weights as int8."""
    scratch_bytes: Floats
    """What the layer takes for a moment while it is computed: the largest of its convolutions'
    weights twice more, with channels last in memory (torch) and as the library that computes them
    wants them (oneDNN); on the way back their gradients in the same way."""

    @property
    def n_middle(self) -> int:
        """Middle layers."""
        return len(self.n_bytes) - 2

    def trained(self, middle: int) -> tuple[int, int, int]:
        """Indices of the layers that a hop with this middle layer trains."""
        return (0, middle + 1, len(self.n_bytes) - 1)

    def training_flops(self) -> Floats:
        """FLOPs per sample and epoch of a hop, per middle layer trained, [n_middle]."""
        forward = self.forward_flops.tolist()
        return np.array([training_flops(forward, self.trained(m)) for m in range(self.n_middle)])

    def backward_flops(self) -> tuple[Floats, Floats]:
        """Of one sample, [n_layers] each: for the gradient of the layer's weights, and of its inputs.

        Nobody asks for the gradient of the model's inputs, so the first layer has none. What passes
        between the products of one layer (a residual block has two) counts with the gradient of its inputs.
        """
        forward = self.forward_flops.tolist()
        return self.forward_flops, np.array([0.0, *forward[1:]])

    def teacher_flops(self, passes: int) -> float:
        """FLOPs per sample of that many forward passes."""
        return teacher_flops(self.forward_flops.tolist(), passes)

    def weight_bytes(self, learning: LearningConfig) -> Floats:
        """Bytes of the model that a node stores during a hop, per middle layer trained, [n_middle]."""
        frozen = self._frozen_bytes(learning)
        sizes = self.n_bytes.tolist()
        return np.array([weight_bytes(sizes, self.trained(m), frozen) for m in range(self.n_middle)])

    def hop_memory(self, learning: LearningConfig, *, originals: bool = False) -> Floats:
        """Bytes of memory that a hop needs, per middle layer trained, [n_middle].

        Args:
            learning: the rules of local training.
            originals: whether the node keeps quantised layers as they were beside them, as it has to where
                it hands the model on.
        """
        return np.array([self._memory(self.trained(m), learning, originals) for m in range(self.n_middle)])

    def _memory(self, trained: Collection[int], learning: LearningConfig, originals: bool) -> float:
        activations = self.frozen_activation_bytes.copy()
        activations[list(trained)] = self.activation_bytes[list(trained)]
        scratch = self.scratch_bytes
        if learning.quantise_frozen:  # frozen weights are computed with in blocks
            scratch = np.minimum(scratch, CAST_BYTES)
            scratch[list(trained)] = self.scratch_bytes[list(trained)]
        return hop_memory(
            self.n_bytes.tolist(),
            activations.tolist(),
            trained,
            learning.batch_size,
            learning.optimizer,
            self._frozen_bytes(learning, originals),
            scratch.max(),
        )

    def _frozen_bytes(self, learning: LearningConfig, originals: bool = False) -> list[float] | None:
        if not learning.quantise_frozen:
            return None
        kept = self.n_bytes.tolist() if originals else [0.0] * len(self.n_bytes)
        return [quantised + full for quantised, full in zip(self.int8_bytes.tolist(), kept, strict=True)]


def profile_model(model: LayeredModel, input_shape: tuple[int, ...]) -> ModelProfile:
    """Measures a copy of the model on a few zeros.

    FLOPs are those that `torch.utils.flop_counter` sees, so element-wise work is not counted. An
    activation that two layers keep is charged to the first of them.
    """
    model = copy.deepcopy(model).eval()  # running statistics stay out of the graph
    inputs = torch.zeros(_SAMPLES, *input_shape)
    n_bytes = [sum(t.numel() * t.element_size() for t in layer.values()) for layer in model.state().layers]
    rows = (
        n_bytes,
        _flops(model, inputs),
        _kept(model, inputs, True),
        _kept(model, inputs, False),
        [sum(p.numel() for p in layer.parameters()) for layer in model.layers],
        [size - _saved_by_int8(layer) for size, layer in zip(n_bytes, model.layers, strict=True)],
        [_scratch(layer) for layer in model.layers],
    )
    return ModelProfile(*(np.array(row, dtype=np.float64) for row in rows))


def _saved_by_int8(layer: nn.Module) -> float:
    """Bytes by which the layer shrinks when its products' weights are kept as int8."""
    weights = [module.weight for module in quantisable_weights(layer).values()]
    return sum(w.numel() * w.element_size() - int8_bytes(w.numel(), len(w)) for w in weights)


def _scratch(layer: nn.Module) -> float:
    """Twice the bytes of the largest weights of a convolution in the layer; 0 where there is none."""
    weights = [m.weight for m in layer.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Conv3d)]
    return 2 * max((w.numel() * w.element_size() for w in weights), default=0.0)


def _flops(model: LayeredModel, inputs: Tensor) -> list[float]:
    """Forward FLOPs per sample of every layer."""
    flops = []
    for layer in model.layers:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            inputs = layer(inputs)
        flops.append(counter.get_total_flops() / _SAMPLES)
    return flops


def _kept(model: LayeredModel, inputs: Tensor, trained: bool) -> list[float]:
    """Bytes per sample of the activations that autograd keeps for the backward pass of every layer."""
    model.requires_grad_(trained)
    seen = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    alive = []  # so that the allocator cannot hand out an address again
    kept = 0

    def keep(tensor: Tensor) -> Tensor:
        nonlocal kept
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            alive.append(tensor)
            kept += storage.nbytes()
        return tensor

    per_layer = []
    x = inputs.clone().requires_grad_(True)
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        for layer in model.layers:
            kept = 0
            x = layer(x)
            per_layer.append(kept / _SAMPLES)
    return per_layer
