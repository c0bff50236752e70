"""A layered model with an ensemble dimension: K parameter sets, forward and backward in one go.

Nothing is recorded by autograd: every operation comes with its gradient (`operations`), frozen
layers pass the gradient on and do no more, and a gradient with respect to parameters is formed for
the members alone that train the layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from snakegym.errors import SnakegymError
from snakegym.models.blocks import ResidualBlock, ResidualLinear
from snakegym.models.layered import LayeredModel
from snakegym.models.stacked import operations as ops
from snakegym.models.stacked.gradients import GradientPlan


class StackedModel:
    """The operations of a layered model for K members at once.

    Raises:
        SnakegymError: the model holds something that has no stacked form; the text names it.
    """

    def __init__(self, model: LayeredModel) -> None:
        translation = _Translation()
        layers = []
        for i, layer in enumerate(model.layers):
            try:
                layers.append(list(translation.operations(layer)))
            except SnakegymError as error:
                raise SnakegymError(f"layer {i}: {error}") from None
        if not translation.dense:
            raise SnakegymError("a model that ends in images has no stacked form")
        self.images = translation.input_ndim == 4
        """Whether the model takes images [n, C, H, W] and has operations on them."""
        self._input_ndim = translation.input_ndim
        self.operations = [op for layer in layers for op in layer]
        """In the order in which they run."""
        for before, op in pairwise(self.operations):
            op.overwrites = before.fresh
        self.layer_of = [i for i, layer in enumerate(layers) for _ in layer]
        """Layer of each operation."""
        self.names = [tuple(name for op in layer for name in op.names) for layer in layers]
        """Per layer the names of its parameters, in the order of its operations."""
        for i, names in enumerate(self.names):
            if set(names) != set(model.layer_state(i)):
                raise SnakegymError(f"layer {i}: shared parameters and buffers have no stacked form")
        self._shapes = [
            [model.layer_state(i)[name].shape for name in names] for i, names in enumerate(self.names)
        ]
        self._floats: dict[tuple[int, ...], tuple[int, int]] = {}

    def accepts(self, inputs: Tensor) -> bool:
        """Whether the model takes samples of this many dimensions, [n, *shape]."""
        return self._input_ndim in (None, inputs.ndim)

    def floats(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Numbers a member holds: parameters, and what one sample of that shape leaves on the tape."""
        if shape not in self._floats:
            weights = [[torch.empty(1, *s, device="meta") for s in layer] for layer in self._shapes]
            _, tape = self.forward(torch.empty(1, 1, *shape, device="meta"), self.bind(weights))
            saved = [item for kept in tape for item in (kept if isinstance(kept, tuple) else (kept,))]
            self._floats[shape] = (
                sum(w.numel() for layer in weights for w in layer),
                sum(item.numel() for item in saved if isinstance(item, Tensor)),
            )
        return self._floats[shape]

    def gather(self, inputs: Tensor, indices: Tensor) -> Tensor:
        """Samples for each member: those of `inputs` [n, *shape] at `indices` [K, batch]; features flat."""
        if self.images:
            indices = indices.t()
        samples = inputs.flatten(1).index_select(0, indices.reshape(-1))
        return samples.view(*indices.shape, *(inputs.shape[1:] if self.images else (-1,)))

    def broadcast(self, inputs: Tensor, members: int) -> Tensor:
        """The same samples [n, *shape] for every member, as a view."""
        if self.images:
            return inputs.unsqueeze(1).expand(-1, members, *inputs.shape[1:])
        return inputs.expand(members, *inputs.shape)

    def bind(self, weights: Sequence[Sequence[Tensor]]) -> list[ops.Bound]:
        """Parameters ready for use, from those of every layer in the order of `names`, each [K, *shape]."""
        return [op.bind(own) for op, own in zip(self.operations, self.split(weights), strict=True)]

    def split(self, weights: Sequence[Sequence[Tensor]]) -> Iterator[Sequence[Tensor]]:
        """The parameters of every operation, from those of every layer."""
        used = [0] * len(weights)
        for op, layer in zip(self.operations, self.layer_of, strict=True):
            start, used[layer] = used[layer], used[layer] + len(op.names)
            yield weights[layer][start : used[layer]]

    def forward(self, x: Tensor, bound: Sequence[ops.Bound], lowest: int = 0) -> tuple[Tensor, list[Any]]:
        """Outputs [K, n, n_classes], and what every operation from `lowest` on saved for `backward`."""
        tape = []
        for i, (op, own) in enumerate(zip(self.operations, bound, strict=True)):
            x, saved = op.forward(x, own)
            tape.append(saved if i >= lowest else None)
        return x, tape

    def predict(self, x: Tensor, bound: Sequence[ops.Bound]) -> Tensor:
        """Outputs [K, n, n_classes] alone."""
        for op, own in zip(self.operations, bound, strict=True):
            x = op.forward(x, own)[0]
        return x

    def backward(self, grad: Tensor, tape: list[Any], bound: Sequence[ops.Bound], plan: GradientPlan) -> None:
        """Carries out the plan, from the gradient with respect to the outputs; uses `tape` up."""
        for i in range(len(tape) - 1, plan.lowest - 1, -1):
            op, saved = self.operations[i], tape.pop()
            plan.collect(i, grad, saved)
            if i > plan.lowest:
                grad = op.backward(grad, saved, bound[i])
        plan.finish()


class _Translation:
    """Modules to operations, in the order in which they run."""

    def __init__(self) -> None:
        self.dense: bool | None = None
        """Whether what comes next are features [K, n, d] or images; None: not known yet."""
        self.input_ndim: int | None = None
        """Dimensions of the inputs [n, *shape] that the model takes; None: any."""

    def operations(self, module: nn.Module, prefix: str = "") -> Iterator[ops.Operation]:
        """Operations of a module whose parameters' names in the layer begin with `prefix`.

        Raises:
            SnakegymError: it has no stacked form.
        """
        if type(module) is nn.Sequential:
            for name, child in module.named_children():
                yield from self.operations(child, f"{prefix}{name}.")
        elif type(module) is not nn.Identity:
            yield from self._steps(module, tuple(prefix + name for name, _ in module.named_parameters()))

    def _steps(self, module: nn.Module, names: tuple[str, ...]) -> Iterator[ops.Operation]:
        if type(module) is ResidualBlock and self._expect(dense=True):
            yield ops.Widen(names[:2])
            yield ops.Narrow(names[2:])
        else:
            yield self._operation(module, names)

    def _operation(self, module: nn.Module, names: tuple[str, ...]) -> ops.Operation:
        kind = type(module)  # exactly: a subclass may compute something else
        if kind is nn.ReLU:
            return ops.Relu()
        if isinstance(module, nn.Flatten) and (module.start_dim, module.end_dim) == (1, -1):
            images, self.dense = self.dense is False, True
            return ops.Flatten(images)
        if kind in (nn.Linear, ResidualLinear) and self._expect(dense=True):
            return ops.Linear(names) if kind is nn.Linear else ops.ResidualLinear(names)
        if (
            isinstance(module, nn.Conv2d)
            and kind is nn.Conv2d
            and _simple(module)
            and self._expect(dense=False)
        ):
            return ops.Convolution(names, module)
        if isinstance(module, nn.GroupNorm) and self._expect(dense=False):
            return ops.GroupNorm(names, module)
        if isinstance(module, nn.MaxPool2d) and not module.return_indices and self._expect(dense=False):
            return ops.MaxPool(module)
        if isinstance(module, nn.AdaptiveAvgPool2d) and self._expect(dense=False):
            return ops.AdaptiveAvgPool(module)
        raise SnakegymError(f"{kind.__name__} has no stacked form here")

    def _expect(self, dense: bool) -> bool:
        """Whether features (or images) can come next; notes it where nothing is known yet."""
        if self.dense is None:
            self.dense = dense
            self.input_ndim = 2 if dense else 4
        return self.dense == dense


def _simple(module: nn.Conv2d) -> bool:
    return module.padding_mode == "zeros" and not isinstance(module.padding, str)
