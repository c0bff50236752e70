"""What low-rank adapters add to the costs of a layer: measured at two ranks, linear between and beyond."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from snakegym.models.adapters import beside, linear_products, new_adapters
from snakegym.models.frozen.keeper import Keeper
from snakegym.models.layered import LayeredModel

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Linear:
    """A cost of every layer [n_layers] that rises with the rank."""

    fixed: Floats
    """At rank 0."""
    per_rank: Floats

    def at(self, rank: int) -> Floats:
        """[n_layers]."""
        return self.fixed + rank * self.per_rank


@dataclass(frozen=True)
class AdapterProfile:
    """Costs of the middle layers when adapters of theirs are trained alone; of the ends they are 0."""

    bytes_per_rank: Floats
    """[n_layers]: of the adapters, for each unit of rank."""
    most_bytes: Floats
    """[n_layers]: of the adapters at the highest rank of any use, each product's smaller dimension."""
    largest_rank: int
    """That all middle layers can have; 0 if one has no product to lie beside."""
    forward_flops: Linear
    """Of one sample, beside those of the layer itself."""
    backward_flops: Linear
    """Of one sample, of the way back through layer and adapters where gradients are passed on."""
    first_backward_flops: Linear
    """The same where it is the first layer that is trained."""
    activation_bytes: Linear
    """What is kept of one sample for the way back where gradients are passed on."""
    first_activation_bytes: Linear
    """The same where it is the first layer that is trained."""


def profile_adapters(model: LayeredModel, inputs: Tensor) -> AdapterProfile:
    """Measures the model, frozen and in eval mode, on some samples [n, *input_shape]."""
    middle = range(1, model.n_layers - 1)
    products = [linear_products(model, i) if i in middle else {} for i in range(model.n_layers)]
    sizes = [4.0 * sum(sum(m.weight.shape) for m in own.values()) for own in products]
    ranks = [min((min(m.weight.shape) for m in products[i].values()), default=0) for i in middle]
    zero = np.zeros(model.n_layers)
    rows = {r: {name: zero.copy() for name in _ROWS} for r in (0, 1, 2)}
    x = inputs
    for i, layer in enumerate(model.layers):
        with torch.no_grad():
            following = layer(x)
        if products[i]:
            for rank, costs in rows.items():
                for name, cost in _measure(model, i, x, rank).items():
                    costs[name][i] = cost / len(inputs)
        x = following
    without = rows.pop(0)["forward_flops"]
    for costs in rows.values():
        costs["forward_flops"] -= without
    found = {name: Linear(2 * rows[1][name] - rows[2][name], rows[2][name] - rows[1][name]) for name in _ROWS}
    most = [4.0 * sum(min(m.weight.shape) * sum(m.weight.shape) for m in own.values()) for own in products]
    return AdapterProfile(np.array(sizes), np.array(most), min(ranks), **found)


_ROWS = (
    "forward_flops",
    "backward_flops",
    "first_backward_flops",
    "activation_bytes",
    "first_activation_bytes",
)


def _measure(model: LayeredModel, layer: int, x: Tensor, rank: int) -> dict[str, float]:
    """Of all samples together, by the names of `_ROWS`; of rank 0 the way forward alone."""
    adapters = new_adapters(model, layer, rank, torch.Generator()) if rank else {}
    own, module = [*adapters.values()], model.layers[layer]
    with beside(model, layer, adapters):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module(x)
        found: dict[str, float] = {"forward_flops": counter.get_total_flops()}
        if not rank:
            return found
        for first in (False, True):
            inputs = x.detach().requires_grad_(not first)
            outputs, kept = Keeper(model, own).run(module, inputs)
            with FlopCounterMode(display=False) as counter:
                torch.autograd.grad(outputs.sum(), own if first else [*own, inputs])
            kind = "first_" if first else ""
            found[kind + "backward_flops"] = counter.get_total_flops()
            found[kind + "activation_bytes"] = kept
    return found
