"""Layers that come from elsewhere are looked at before anything is made of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from snakegym.cluster.statements import Refused
from snakegym.learning.jobs import Factors
from snakegym.models.frozen.precision import LOW
from snakegym.models.state import A, B, LayerState, ModelState, fits
from snakegym.models.store import Key

HUGE = 1e4
"""A layer whose largest number is more than this is refused: nothing that was trained properly has one."""


def check_layers(
    found: Mapping[Key, LayerState], expected: Iterable[Key], like: ModelState, whose: str, seat: int | None
) -> None:
    """Refuse layers that are not those that were asked for, of other shapes, or with impossible numbers.

    Beside weights in low precision adapters may lie.

    Args:
        found: what came.
        expected: layer and version of each, no more and no less.
        like: a model of the process; names, shapes and types are as in it.
        whose: who sent them, for the error.
        seat: where that node sits; None: the PCE.

    Raises:
        Refused: one line that names the layer.
    """
    wanted = set(expected)
    for key in sorted(found.keys() ^ wanted):
        what = "did not come" if key in wanted else "came, of which nobody had asked"
        raise Refused(f"{whose}: layer {key[0]} in version {key[1]} {what}", seat)
    for (layer, _), tensors in sorted(found.items()):
        adapters = {name for name in tensors if name.endswith((A, B)) and fits(tensors, name)}
        beside = {name for name in adapters if tensors[name[: -len(A)]].dtype in LOW}
        ours = {name: (tuple(t.shape), t.dtype) for name, t in like.layers[layer].items()}
        theirs = {name: (tuple(t.shape), t.dtype) for name, t in tensors.items() if name not in beside}
        if ours != theirs:
            raise Refused(f"{whose}: found {_short(theirs)} in layer {layer}, expected {_short(ours)}", seat)
        for name, tensor in tensors.items():
            _check_numbers(tensor, f"layer {layer}, {name}", whose, seat)


def check_factors(part: Factors, like: LayerState, where: str, seat: int | None) -> None:
    """Refuse adapters that fit no weight of a layer like that, or have impossible numbers.

    Args:
        part: those of one node.
        like: a layer of the process; its names and shapes.
        where: who sent them and of which layer, for the error.
        seat: as of `check_layers`.

    Raises:
        Refused: one line.
    """
    layer = {**like, **part.tensors}
    for name in part.tensors:
        if not (name.endswith((A, B)) and fits(layer, name) and _of_rank(layer, name)):
            shape = list(part.tensors[name].shape)
            raise Refused(f"{where}: found {name} {shape}, expected a pair that fits a weight", seat)
        _check_numbers(part.tensors[name], name, where, seat)
    if not (part.tensors and math.isfinite(part.scale)):
        raise Refused(f"{where}: found none, or times {part.scale}, expected some", seat)


def _of_rank(layer: LayerState, name: str) -> bool:
    """Whether the pair is as long as the weight is wide, and of no higher rank than it can be."""
    weight = layer[name[: -len(A)]]
    a, b = (layer[name[: -len(A)] + suffix] for suffix in (A, B))
    packed = weight.dtype == torch.uint8  # two numbers a byte
    return (packed or a.shape[1] == weight.shape[1]) and len(a) <= min(a.shape[1], len(b))


def _check_numbers(tensor: Tensor, where: str, whose: str, seat: int | None) -> None:
    if tensor.is_floating_point() and tensor.numel():
        least, most = torch.aminmax(tensor)  # abs() would make a copy
        largest = max(abs(float(least)), abs(float(most)))
        if not largest <= HUGE:  # not a number, too
            raise Refused(f"{whose}: found {largest:g} in {where}, expected numbers up to {HUGE:g}", seat)


def layer_bytes(layers: Iterable[LayerState]) -> int:
    """Of the tensors in them."""
    return sum(t.numel() * t.element_size() for layer in layers for t in layer.values())


def _short(layout: Mapping[str, tuple[tuple[int, ...], torch.dtype]]) -> str:
    shown = ", ".join(f"{name} {list(shape)}" for name, (shape, _) in layout.items())
    return shown[:200] or "nothing"
