"""Layers as a node keeps them that does not train their weights: in low precision, with adapters beside.

Weights of products (linear layers and convolutions) and of embeddings are kept as
`snakegym.models.frozen.precision` has it. They are cast up to float32 a few output channels at a time, in
the forward and again in the backward pass, and computed with in float32: low precision products are many
times slower on a CPU.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.grad import conv2d_input

from snakegym.models.adapters import beside, folded
from snakegym.models.frozen.precision import LOW, SCALE, decode, encode, rows_at_once
from snakegym.models.layered import LayeredModel
from snakegym.models.quantisable import Quantisable
from snakegym.models.state import A, B, LayerState, ModelState
from snakegym.scenario import LearningConfig, Precision


def low_layer(model: LayeredModel, layer: int, tensors: LayerState, precision: Precision) -> LayerState:
    """The layer as a node stores it; the very same if it is stored so already, or nothing in it can be.

    Each weight that can be is in that precision under its own name, with scales beside it.
    """
    names = [name for name in model.quantisable_of(layer) if tensors[name].dtype not in LOW]
    if precision == "fp32" or not names:
        return tensors
    stored = dict(tensors)
    for name in names:
        values, scale = encode(tensors[name], precision)
        stored[name] = values
        if scale is not None:
            stored[name + SCALE] = scale
    return stored


def low_state(
    model: LayeredModel, state: ModelState, layers: Collection[int], precision: Precision
) -> ModelState:
    """The state with these layers as `low_layer` has them."""
    return state.replace({i: low_layer(model, i, state.layers[i], precision) for i in layers})


def as_handed_on(model: LayeredModel, state: ModelState, learning: LearningConfig) -> ModelState:
    """A model as a process begins with it: what nobody ever trains is in low precision from the start."""
    if not learning.low_base:
        return state
    ends = model.trained(learning.trains).ends
    return low_state(model, state, [i for i in range(len(state)) if i not in ends], learning.frozen)


def in_float32(model: LayeredModel, state: ModelState, *, fold: bool = True) -> ModelState:
    """The state with all weights in float32; adapters are added to them, or left out where not to `fold`."""
    return state.replace({i: _whole(model, i, tensors, fold) for i, tensors in enumerate(state.layers)})


def _whole(model: LayeredModel, layer: int, tensors: LayerState, fold: bool) -> LayerState:
    whole = {name: t for name, t in tensors.items() if not name.endswith((A, B, SCALE))}
    for name in model.quantisable_of(layer):
        if whole[name].dtype in LOW:
            shape = model.parameters_of(layer)[name].shape
            whole[name] = decode(whole[name], tensors.get(name + SCALE), shape[1:])
    adapters = {name: t for name, t in tensors.items() if name.endswith((A, B))}
    return folded(whole, adapters, 1.0) if fold and adapters else whole


def plain(state: ModelState) -> bool:
    """Whether the state has nothing but the model's own tensors: no low precision, no adapters."""
    return not any(
        name.endswith((SCALE, A)) or tensor.dtype in LOW
        for layer in state.layers
        for name, tensor in layer.items()
    )


class LowLayers:
    """Layers in low precision, each made once: as long as the same is asked for, it is given again."""

    def __init__(self, model: LayeredModel) -> None:
        self._model = model
        self._made: dict[int, tuple[LayerState, Precision, LayerState]] = {}

    def state(self, state: ModelState, layers: Collection[int], precision: Precision) -> ModelState:
        """As `low_state`."""
        if precision == "fp32":
            return state
        return state.replace({i: self._layer(i, state.layers[i], precision) for i in layers})

    def _layer(self, layer: int, tensors: LayerState, precision: Precision) -> LayerState:
        source, kind, made = self._made.get(layer, (None, None, {}))
        if source is tensors and kind == precision:
            return made
        made = low_layer(self._model, layer, tensors, precision)
        if made is not tensors:
            self._made[layer] = tensors, precision, made
        return made


@contextmanager
def loaded(model: LayeredModel, state: ModelState) -> Iterator[None]:
    """The model with that state, whose layers may be in low precision, and have adapters.

    What the model holds afterwards is of no use: the next user loads a state.
    """
    with ExitStack() as stack:
        for i, tensors in enumerate(state.layers):
            stored, rest = _apart(model, i, tensors)
            model.load_layer(i, rest)
            for module, values, scale in stored:
                module.forward = _computing(module, values, scale)  # type: ignore[method-assign]
                stack.callback(_restore, module)  # the class has its own
            if adapters := {name: t for name, t in tensors.items() if name.endswith((A, B))}:
                stack.enter_context(beside(model, i, adapters))
        yield


def _restore(module: nn.Module) -> None:
    del module.forward


def _apart(
    model: LayeredModel, layer: int, tensors: LayerState
) -> tuple[list[tuple[Quantisable, Tensor, Tensor | None]], LayerState]:
    """Modules that compute with stored weights, and what the module is to hold: instead of these nothing."""
    names = {name: m for name, m in model.quantisable_of(layer).items() if tensors[name].dtype in LOW}
    if not names and not any(name.endswith(A) for name in tensors):
        return [], tensors
    rest = {name: t for name, t in tensors.items() if not name.endswith((A, B, SCALE))}
    stored: list[tuple[Quantisable, Tensor, Tensor | None]] = []
    for name, module in names.items():
        values, scale = tensors[name], tensors.get(name + SCALE)
        shape = model.parameters_of(layer)[name].shape
        rest[name] = torch.empty((), device=values.device).expand(shape)  # the right shape, and no memory
        stored += [(user, values, scale) for user in (module, *model.sharers_of(layer, name))]
    return stored, rest


def _computing(module: Quantisable, values: Tensor, scale: Tensor | None) -> Any:
    if isinstance(module, nn.Embedding):
        return partial(_look_up, module.weight.shape[1:], values, scale)
    return partial(_forward, module, values, scale)


def _look_up(shape: torch.Size, values: Tensor, scale: Tensor | None, tokens: Tensor) -> Tensor:
    ids = tokens.flatten()
    rows = decode(values[ids], None if scale is None else scale[ids], shape)
    return rows.view(*tokens.shape, *shape)


def _forward(module: nn.Module, values: Tensor, scale: Tensor | None, inputs: Tensor) -> Tensor:
    outputs: Tensor = _Product.apply(inputs, values, scale, module)  # type: ignore[no-untyped-call]
    return outputs


class _Product(torch.autograd.Function):
    """A product whose float32 weight lives only block by block while it is computed, forward and backward.

    Autograd alone would keep every float32 weight from the forward to the backward pass.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, values: Tensor, scale: Tensor | None, module: Any) -> Tensor:
        ctx.save_for_backward(values, scale)
        ctx.shape, ctx.module, ctx.rows = inputs.shape, module, module.weight.shape[1:]
        bias = module.bias
        parts = []
        for block in _blocks(module):
            weight = _weight(values, scale, block, ctx.rows)
            own = None if bias is None else bias[block]
            if isinstance(module, nn.Linear):
                parts.append(functional.linear(inputs, weight, own))
            else:
                parts.append(functional.conv2d(inputs, weight, own, **_geometry(module)))
        return parts[0] if len(parts) == 1 else torch.cat(parts, _channels(module))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        module = ctx.module
        values, scale = ctx.saved_tensors
        total = torch.zeros(ctx.shape, device=values.device)
        for block in _blocks(module):
            weight = _weight(values, scale, block, ctx.rows)
            own = gradients[0].narrow(_channels(module), block.start, len(weight))
            if isinstance(module, nn.Linear):
                total += own @ weight
            else:
                total += conv2d_input(ctx.shape, weight, own, **_geometry(module))  # type: ignore[no-untyped-call]
        return total, None, None, None


def _weight(values: Tensor, scale: Tensor | None, block: slice, shape: torch.Size) -> Tensor:
    return decode(values[block], None if scale is None else scale[block], shape)


def _blocks(module: nn.Linear | nn.Conv2d) -> list[slice]:
    """Output channels that are cast up together: at most `CAST_BYTES` of float32, at least one channel."""
    n = len(module.weight)
    step = rows_at_once(module.weight)
    if isinstance(module, nn.Conv2d) and module.groups > 1:
        step = n  # a group's outputs and inputs go together
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


def _channels(module: nn.Module) -> int:
    """Dimension of the outputs that counts the channels."""
    return -1 if isinstance(module, nn.Linear) else 1


def _geometry(module: nn.Conv2d) -> Mapping[str, Any]:
    return {key: getattr(module, key) for key in ("stride", "padding", "dilation", "groups")}
