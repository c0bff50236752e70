"""Low-rank adapters beside the linear products of a layer: LoRA (Hu et al., arXiv:2106.09685).

A product computes x W' + b + s (x A') B', with A [rank, n_in] and B [n_out, rank], where W stays as it is
and A and B are trained. The numbers are those of peft's `lora.Linear`, without its wrapper modules, so that
layers keep the names of their parameters.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from snakegym.errors import SnakegymError
from snakegym.models.frozen.precision import LOW
from snakegym.models.layered import LayeredModel
from snakegym.models.state import A, B


def linear_products(model: LayeredModel, layer: int) -> dict[str, nn.Linear]:
    """Names of the layer's own weights that can have adapters, and the modules that multiply by them."""
    own = model.quantisable_of(layer)
    return {name: module for name, module in own.items() if isinstance(module, nn.Linear)}


def check_rank(model: LayeredModel, layers: Iterable[int], rank: int, field: str) -> None:
    """Raise SnakegymError, naming the field, unless all these layers can have adapters of that rank."""
    for layer in layers:
        products = linear_products(model, layer)
        if not products:
            raise SnakegymError(
                f"{field}: found adapters for layer {layer} of the model, expected one with linear products"
            )
        name, module = min(products.items(), key=lambda item: min(item[1].weight.shape))
        most = min(module.weight.shape)
        if rank > most:
            raise SnakegymError(
                f"{field}: found rank {rank}, expected at most {most}: '{name}' of layer {layer} is "
                f"{module.out_features} x {module.in_features}"
            )


def new_adapters(
    model: LayeredModel, layer: int, rank: int, generator: torch.Generator
) -> dict[str, nn.Parameter]:
    """Adapters of all the layer's products: A uniform within n_in^-1/2, B zero, as peft begins."""
    found = {}
    for name, module in linear_products(model, layer).items():
        weight, bound = module.weight, 1 / math.sqrt(module.in_features)
        a = torch.empty(rank, module.in_features, dtype=torch.float32)
        a.uniform_(-bound, bound, generator=generator)
        found[name + A] = nn.Parameter(a.to(weight.device))
        found[name + B] = nn.Parameter(torch.zeros(module.out_features, rank, device=weight.device))
    return found


@contextmanager
def beside(
    model: LayeredModel, layer: int, adapters: Mapping[str, Tensor], scale: float = 1.0
) -> Iterator[None]:
    """The layer computing with these adapters, whatever its products otherwise do."""
    patched: list[tuple[nn.Module, Any]] = []
    try:
        for name, module in linear_products(model, layer).items():
            if name + A in adapters:
                patched.append((module, vars(module).get("forward")))
                parts = adapters[name + A], adapters[name + B]
                module.forward = partial(_product, module.forward, *parts, scale)  # type: ignore[method-assign]
        yield
    finally:
        for module, before in reversed(patched):
            del module.forward
            if before is not None:
                module.forward = before


def folded(weights: Mapping[str, Tensor], adapters: Mapping[str, Tensor], scale: float) -> dict[str, Tensor]:
    """New weights with the adapters in them: W + s B A; what has none stays the same object."""
    return {
        name: torch.addmm(weight, adapters[name + B].detach(), adapters[name + A].detach(), alpha=scale)
        if name + A in adapters
        else weight
        for name, weight in weights.items()
    }


def stacked(parts: Sequence[tuple[float, Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """A and B of the sum of w B A over some adapters (w, A, B) of one product, exactly, whatever their ranks.

    They are put side by side; beyond the smaller dimension of the product one of them is the identity.
    """
    a = torch.cat([a for _, a, _ in parts])
    b = torch.cat([b if weight == 1 else weight * b for weight, _, b in parts], 1)
    n_out, n_in = len(b), a.shape[1]
    if len(a) <= min(n_out, n_in):
        return a, b
    if n_in <= n_out:
        return torch.eye(n_in, device=a.device), b @ a
    return b @ a, torch.eye(n_out, device=a.device)


def stayed(before: Mapping[str, Tensor], adapters: Mapping[str, Tensor], scale: float) -> dict[str, Tensor]:
    """A layer with further adapters beside it: what adding them to weights in low precision would lose."""
    found = dict(before)
    for name, a in adapters.items():
        if name.endswith(A):
            weight = name.removesuffix(A)
            parts = [(scale, a.detach(), adapters[weight + B].detach())]
            if name in before:
                parts.insert(0, (1.0, before[name], before[weight + B]))
            found[name], found[weight + B] = stacked(parts)
    return found


def grown(before: Mapping[str, Tensor], adapters: Mapping[str, Tensor], scale: float) -> dict[str, Tensor]:
    """A layer after its adapters were trained; whoever has these makes the very same of the same layer.

    Weights in float32 take the adapters in: W + s B A. Beside those in low precision they stay, as adding
    them there would lose what is smaller than a step.
    """
    low = any(before[name.removesuffix(A)].dtype in LOW for name in adapters if name.endswith(A))
    return stayed(before, adapters, scale) if low else folded(before, adapters, scale)


def _product(base: Any, a: Tensor, b: Tensor, scale: float, inputs: Tensor) -> Tensor:
    low = nn.functional.linear(inputs, a)
    outputs: Tensor = base(inputs) + nn.functional.linear(low, b) * scale
    return outputs
