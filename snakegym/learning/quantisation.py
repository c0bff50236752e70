"""Frozen layers as int8 on the node that does not train them.

Weights of products (linear layers and convolutions) are kept as int8 with one scale per output
channel, symmetric about 0, which is the usual scheme for weights (Krishnamoorthi 2018,
arXiv:1806.08342, section 2). They are cast up to float32 a few output channels at a time, in the
forward and again in the backward pass, and computed with in float32: low precision products are many
times slower on a CPU. Nothing of this ever leaves the node, which hands on trained layers alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.grad import conv2d_input

from snakegym.models.layered import LayeredModel
from snakegym.models.state import LayerState, ModelState
from snakegym.network.costs import CAST_BYTES

SCALE = ".scale"
"""Suffix of the name under which the scales of an int8 weight stand in a layer's state."""
_LARGEST = 127
"""The int8 range without -128, so that it is symmetric."""
_NOTHING = 1e-30
"""Channels without a larger weight become 0: their scale would underflow."""


def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """The weight as int8 of the same shape, and the float32 scale of each output channel.

    Args:
        weight: float32 [n_out, ...]. Off by at most half a scale: 1/254 of a channel's largest value.
    """
    largest = weight.flatten(1).abs().amax(1)
    scale = torch.where(largest > _NOTHING, largest / _LARGEST, 1.0)
    return (weight / _along(scale, weight)).round_().to(torch.int8), scale


def dequantise(values: Tensor, scale: Tensor) -> Tensor:
    """float32 weight of `quantise`'s int8 values and scales."""
    return values.float().mul_(_along(scale, values))


def quantise_state(model: LayeredModel, state: ModelState, layers: Collection[int]) -> ModelState:
    """The state with these layers as a node stores them; layers that are int8 already stay.

    Each weight that can be is int8 under its own name, with its scales beside it.
    """
    return state.replace({i: _quantised(model.quantisable_of(i), state.layers[i]) for i in layers})


@contextmanager
def loaded(model: LayeredModel, state: ModelState, int8_layers: Collection[int]) -> Iterator[None]:
    """The model with that state, these layers as int8; they must not be trained meanwhile.

    What the model holds afterwards is of no use: the next user loads a state.
    """
    stored = quantise_state(model, state, int8_layers)
    products = {}
    rest = {i: dict(stored.layers[i]) for i in int8_layers}
    for i in int8_layers:
        for name, module in model.quantisable_of(i).items():
            values, scale = rest[i][name], rest[i].pop(name + SCALE)
            rest[i][name] = scale.new_empty(()).expand(values.shape)  # the right shape, and no memory
            products[module] = partial(_forward, module, values, scale)
    model.load(stored.replace(rest))
    try:
        for module, product in products.items():
            module.forward = product  # type: ignore[method-assign]
        yield
    finally:
        for module in products:
            del module.forward  # the class has its own


def _quantised(names: Iterable[str], tensors: LayerState) -> LayerState:
    stored = dict(tensors)
    for name in names:
        if name + SCALE not in stored:
            stored[name], stored[name + SCALE] = quantise(stored[name])
    return stored


def _forward(module: nn.Linear | nn.Conv2d, values: Tensor, scale: Tensor, inputs: Tensor) -> Tensor:
    outputs: Tensor = _Product.apply(inputs, values, scale, module)  # type: ignore[no-untyped-call]
    return outputs


class _Product(torch.autograd.Function):
    """A product whose float32 weight lives only block by block while it is computed, forward and backward.

    Autograd alone would keep every float32 weight from the forward to the backward pass.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, values: Tensor, scale: Tensor, module: Any) -> Tensor:
        ctx.save_for_backward(values, scale)
        ctx.shape, ctx.module = inputs.shape, module
        bias = module.bias
        parts = []
        for block in _blocks(module, values):
            weight, own = dequantise(values[block], scale[block]), None if bias is None else bias[block]
            if isinstance(module, nn.Linear):
                parts.append(functional.linear(inputs, weight, own))
            else:
                parts.append(functional.conv2d(inputs, weight, own, **_geometry(module)))
        return torch.cat(parts, _channels(module))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        module = ctx.module
        values, scale = ctx.saved_tensors
        total = torch.zeros(ctx.shape, device=scale.device)
        for block in _blocks(module, values):
            weight = dequantise(values[block], scale[block])
            own = gradients[0].narrow(_channels(module), block.start, len(weight))
            if isinstance(module, nn.Linear):
                total += own @ weight
            else:
                total += conv2d_input(ctx.shape, weight, own, **_geometry(module))  # type: ignore[no-untyped-call]
        return total, None, None, None


def _blocks(module: nn.Linear | nn.Conv2d, values: Tensor) -> list[slice]:
    """Output channels that are cast up together: at most `CAST_BYTES` of float32, at least one channel."""
    n = len(values)
    step = max(1, CAST_BYTES // (4 * values[0].numel()))
    if isinstance(module, nn.Conv2d) and module.groups > 1:
        step = n  # a group's outputs and inputs go together
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


def _channels(module: nn.Module) -> int:
    """Dimension of the outputs that counts the channels."""
    return -1 if isinstance(module, nn.Linear) else 1


def _geometry(module: nn.Conv2d) -> dict[str, Any]:
    return {key: getattr(module, key) for key in ("stride", "padding", "dilation", "groups")}


def _along(scale: Tensor, weight: Tensor) -> Tensor:
    """Scales broadcast over the output channels of the weight."""
    return scale.view(-1, *(1,) * (weight.ndim - 1))
