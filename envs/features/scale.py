"""How quantities of any size become numbers within [-1, 1]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from snakegym.control.view import Floats, Ints

GAIN_SCALE = 10.0
"""Gains of a hop are a few per cent; tanh(10 g) spreads them over [-1, 1]."""


def squash(x: Floats) -> Floats:
    """From [0, inf] to [0, 1]: 1 becomes 0.5, infinity (no forecast) 1."""
    squashed: Floats = np.asarray(x, np.float64) + 1.0
    np.divide(-1.0, squashed, out=squashed)
    squashed += 1.0
    return squashed


def squashed(x: float) -> float:
    """The same of a number."""
    return 1.0 - 1.0 / (1.0 + x)


def gain(x: Floats) -> Floats:
    """Of gains in accuracy."""
    spread: Floats = np.tanh(GAIN_SCALE * x)
    return spread


def recency(last: Ints, now: int) -> Floats:
    """Of an index of hop or cycle: 1 for `now`, 1 / (1 + n) for n before it, 0 for never (-1)."""
    recent: Floats = (last >= 0) / (1.0 + np.maximum(now - last, 0))
    return recent


def table(columns: Mapping[str, Floats], names: Sequence[str], *sizes: int) -> NDArray[np.float32]:
    """Columns of these names, in their order, as float32 [prod(sizes) * len(names)] in [-1, 1].

    All of one node (or layer, or pair) lies together.

    Args:
        columns: arrays of one shape, in no direction longer than `sizes`; what they lack is filled with 0.
        names: of the columns.
        sizes: how many nodes, layers, or nodes and layers.
    """
    x = np.zeros((*sizes, len(names)), dtype=np.float32)
    there = x[tuple(map(slice, columns[names[0]].shape))]
    for i, name in enumerate(names):
        there[..., i] = columns[name]
    np.minimum(x, 1.0, out=x)
    return np.maximum(x, -1.0, out=x).reshape(-1)
