"""What the Process Computation Engine does with several nodes' updates of the same model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from snakegym.errors import SnakegymError
from snakegym.models.state import ModelState


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
    first, total = states[0], float(sum(samples))
    weights = [n / total for n in samples]
    changed = {
        i: {name: _mean([s.layers[i][name] for s in states], weights) for name in layer}
        for i, layer in enumerate(first.layers)
        if any(s.layers[i] is not layer for s in states)
    }
    return first.replace(changed) if changed else first


def _mean(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    if not tensors[0].is_floating_point():  # a counter, not a parameter
        return tensors[0]
    mean = torch.zeros_like(tensors[0])
    for tensor, weight in zip(tensors, weights, strict=True):
        mean.add_(tensor, alpha=weight)
    return mean
