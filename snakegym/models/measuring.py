"""Runs the layers of a model and counts: FLOPs, bytes that come out, bytes that autograd keeps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from snakegym.models.frozen.keeper import Keeper
from snakegym.models.frozen.precision import low_bytes
from snakegym.models.layered import LayeredModel
from snakegym.scenario import Precision


def bytes_in(model: LayeredModel, layer: int, precision: Precision) -> float:
    """Bytes of the layer with the weights that can be in that precision in it."""
    weights = [module.weight for module in model.quantisable_of(layer).values()]
    whole = sum(t.numel() * t.element_size() for t in model.layer_state(layer).values())
    saved = sum(
        w.numel() * w.element_size() - low_bytes(len(w), w.numel() // len(w), precision) for w in weights
    )
    return float(whole - saved)


def scratch_bytes(layer: nn.Module) -> float:
    """Twice the bytes of the largest weights of a convolution in the layer; 0 where there is none."""
    weights = [m.weight for m in layer.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Conv3d)]
    return 2 * max((w.numel() * w.element_size() for w in weights), default=0.0)


def forward(model: LayeredModel, inputs: Tensor) -> tuple[list[float], list[float]]:
    """FLOPs of every layer on the way forward, and bytes of what comes out of it, per sample."""
    flops, sizes = [], []
    for layer in model.layers:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            inputs = layer(inputs)
        flops.append(counter.get_total_flops() / len(inputs))
        sizes.append(inputs.nbytes / len(inputs))
    return flops, sizes


def flops_back(model: LayeredModel, inputs: Tensor, *, first: bool) -> list[float]:
    """Of the way back through every layer, per sample: as the first that is trained, or as a frozen one."""
    model.requires_grad_(first)
    flops = []
    x = inputs
    for i, layer in enumerate(model.layers):
        x = x.detach()
        wanted = [*layer.parameters()] if first else [x.requires_grad_()] if i else []
        with torch.enable_grad():
            x = layer(x)
            total = x.sum()
        with FlopCounterMode(display=False) as counter:
            if wanted and x.requires_grad:
                torch.autograd.grad(total, wanted, allow_unused=True)
        flops.append(counter.get_total_flops() / len(inputs))
    return flops


def flops_again(model: LayeredModel, inputs: Tensor, back: Sequence[float]) -> list[float]:
    """Of computing every middle layer once more on the way back through it, frozen, per sample.

    That ends where all that the way back wants is there: of a last product nobody wants the outputs.

    Args:
        model: its layers.
        inputs: samples.
        back: what `flops_back` says of frozen layers, [n_layers].
    """
    model.requires_grad_(False)
    flops = [0.0] * model.n_layers
    x = inputs
    for i, layer in enumerate(model.layers):
        if not 0 < i < model.n_layers - 1:
            with torch.no_grad():
                x = layer(x)
            continue
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            y = checkpoint(layer, x, use_reentrant=False, preserve_rng_state=False)
            total = y.sum()
        with FlopCounterMode(display=False) as counter:
            if y.requires_grad:
                total.backward()
        flops[i] = max(0.0, counter.get_total_flops() / len(inputs) - back[i])
        x = y
    return flops


def kept(model: LayeredModel, inputs: Tensor, trained: bool) -> list[float]:
    """Bytes per sample of the activations that autograd keeps for the backward pass of every layer."""
    model.requires_grad_(trained)
    keeper = Keeper(model)
    per_layer = []
    x = inputs.clone()
    for layer in model.layers:
        if not x.requires_grad:
            x = x.detach().requires_grad_(x.is_floating_point())  # tokens have no gradient
        x, kept = keeper.run(layer, x)
        per_layer.append(kept / len(inputs))
    return per_layer


def kept_as_first(model: LayeredModel, inputs: Tensor) -> list[float]:
    """The same for every layer as the first that is trained: nothing below it is differentiated."""
    model.requires_grad_(True)
    per_layer = []
    x = inputs.clone()
    for layer in model.layers:
        x, kept = Keeper(model).run(layer, x.detach())
        per_layer.append(kept / len(inputs))
    return per_layer
