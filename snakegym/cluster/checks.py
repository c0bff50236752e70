"""Layers that come from elsewhere are looked at before anything is made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch

from snakegym.cluster.statements import Refused
from snakegym.models.state import LayerState, ModelState
from snakegym.models.store import Key

HUGE = 1e4
"""A layer whose largest number is more than this is refused: nothing that was trained properly has one."""


def check_layers(
    found: Mapping[Key, LayerState], expected: Iterable[Key], like: ModelState, whose: str, seat: int | None
) -> None:
    """Refuse layers that are not those that were asked for, of other shapes, or with impossible numbers.

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
        ours = {name: (tuple(t.shape), t.dtype) for name, t in like.layers[layer].items()}
        theirs = {name: (tuple(t.shape), t.dtype) for name, t in tensors.items()}
        if ours != theirs:
            raise Refused(f"{whose}: found {_short(theirs)} in layer {layer}, expected {_short(ours)}", seat)
        for name, tensor in tensors.items():
            if tensor.is_floating_point() and tensor.numel():
                least, most = torch.aminmax(tensor)  # abs() would make a copy
                largest = max(abs(float(least)), abs(float(most)))
                if not largest <= HUGE:  # not a number, too
                    where = f"layer {layer}, {name}"
                    raise Refused(
                        f"{whose}: found {largest:g} in {where}, expected numbers up to {HUGE:g}", seat
                    )


def layer_bytes(layers: Iterable[LayerState]) -> int:
    """Of the tensors in them."""
    return sum(t.numel() * t.element_size() for layer in layers for t in layer.values())


def _short(layout: Mapping[str, tuple[tuple[int, ...], torch.dtype]]) -> str:
    shown = ", ".join(f"{name} {list(shape)}" for name, (shape, _) in layout.items())
    return shown[:200] or "nothing"
