"""What the Process Computation Engine does with several nodes' updates of the same model."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from snakegym.errors import SnakegymError
from snakegym.models.adapters import stacked
from snakegym.models.state import A, B, LayerState, ModelState


def average(states: Sequence[ModelState], samples: Sequence[float]) -> ModelState:
    """The mean of models, weighted by the samples that each was really trained on.

    Federated averaging (McMahan et al., "Communication-Efficient Learning of Deep Networks from
    Decentralized Data", arXiv:1602.05629). Layers that are the same object in all states stay so.

    Args:
        states: at least one, of the same architecture.
        samples: one number > 0 a state.

    Raises:
        SnakegymError: no state, or not one number of samples a state.
    """
    if not states or len(states) != len(samples) or min(samples) <= 0:
        raise SnakegymError(
            f"average: found {len(states)} states and samples {list(samples)}, "
            "expected one number above 0 a state, at least one"
        )
    first, weights = states[0], shares(samples)
    changed = {
        i: mean_layer([s.layers[i] for s in states], weights)
        for i, layer in enumerate(first.layers)
        if any(s.layers[i] is not layer for s in states)
    }
    return first.replace(changed) if changed else first


def shares(samples: Sequence[float]) -> list[float]:
    """The weights of models that were trained on so many samples."""
    total = float(sum(samples))
    return [n / total for n in samples]


def mean_layer(layers: Sequence[LayerState], weights: Sequence[float]) -> LayerState:
    """The weighted sum of one layer of several models; tensors that are the same object in all stay so."""
    names = dict.fromkeys(name for layer in layers for name in layer)
    mean: dict[str, Tensor] = {}
    for name in names:
        if name.endswith(A):
            pair = name.removesuffix(A) + B
            pairs = [(layer[name], layer[pair]) for layer in layers if name in layer]
            own = [w for w, layer in zip(weights, layers, strict=True) if name in layer]
            mean[name], mean[pair] = mean_of_adapters(pairs, own)
        elif not name.endswith(B):
            mean[name] = _mean([layer[name] for layer in layers], weights)
    return mean


def mean_of_adapters(
    pairs: Sequence[tuple[Tensor, Tensor]], weights: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """A and B whose product is the weighted sum of the pairs' B A, exactly, whatever their ranks.

    They are stacked (Wang et al. 2024, FLoRA, arXiv:2409.05976): the mean of the As times that of the Bs is
    something else, and cutting the sum down to a rank loses some of it. What all pairs begin with, the
    adapters of earlier hops, is taken once.
    """
    first = pairs[0]
    common = 0
    if math.isclose(sum(weights), 1, rel_tol=1e-6):
        common = min(_alike(first, pair) for pair in pairs)
    parts = [(w, a[common:], b[:, common:]) for w, (a, b) in zip(weights, pairs, strict=True)]
    if common:
        parts.insert(0, (1.0, first[0][:common], first[1][:, :common]))
    return stacked(parts)


def _alike(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> int:
    """How many of their ranks, from the first, are the same."""
    n = min(len(one[0]), len(other[0]))
    same = (one[0][:n] == other[0][:n]).all(1) & (one[1][:, :n] == other[1][:, :n]).all(0)
    return int(same.long().cumprod(0).sum())


def _mean(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    if not tensors[0].is_floating_point():  # a counter, not a parameter
        return tensors[0]
    if all(tensor is tensors[0] for tensor in tensors):
        return tensors[0]
    mean = torch.zeros_like(tensors[0])
    for tensor, weight in zip(tensors, weights, strict=True):
        mean.add_(tensor, alpha=weight)
    return mean
