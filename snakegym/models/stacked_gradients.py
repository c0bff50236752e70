"""Which gradients a stack needs, and where they go."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from snakegym.models.stacked import StackedModel
    from snakegym.models.stacked_ops import Operation


class GradientPlan:
    """Gradients of the layers that K members train, written into the rows of one tensor.

    Members may train different layers. Where these are alike and their gradients go to the same
    columns (seven residual layers, of which everybody trains one), one product serves all.

    Args:
        model: whose layers they are.
        weights: per layer its parameters, each [K, *shape].
        members: per layer who trains it, in rising order.
        columns: of the gradients of each trained layer with parameters.
        flat: [K, width], overwritten by every backward pass where something is trained.
    """

    def __init__(
        self,
        model: StackedModel,
        weights: Sequence[Sequence[Tensor]],
        members: Sequence[Sequence[int]],
        columns: Mapping[int, slice],
        flat: Tensor,
    ) -> None:
        self.wanted: dict[int, tuple[_Family, list[int]]] = {}
        """Operations whose gradients are needed, and by whom."""
        families: dict[Hashable, _Family] = {}
        used = dict.fromkeys(columns, 0)
        for i, (op, own) in enumerate(zip(model.operations, model.split(weights), strict=True)):
            layer = model.layer_of[i]
            if not own or not members[layer]:
                continue
            start = columns[layer].start + used[layer]
            used[layer] += sum(w[0].numel() for w in own)
            key = (-1 if op.joint else i, start, tuple(w.shape for w in own))
            family = families.setdefault(key, _Family(op, own, flat, start))
            family.members += members[layer]
            self.wanted[i] = (family, list(members[layer]))
        self._families = list(families.values())
        self.lowest = min(self.wanted, default=len(model.operations))
        """Nobody needs a gradient below this operation."""
        self.narrow(len(flat))

    def narrow(self, n: int) -> None:
        """From now on there are only the first n members."""
        self.wanted = {i: (f, [k for k in members if k < n]) for i, (f, members) in self.wanted.items()}
        for family in self._families:
            family.narrow(n)

    def collect(self, operation: int, grad: Tensor, evidence: Tensor) -> None:
        """Takes what the gradients of a wanted operation are made from."""
        family, members = self.wanted[operation]
        family.collect(members, grad, evidence)

    def finish(self) -> None:
        """Forms the gradients for which all has been collected by now."""
        for family in self._families:
            family.finish()


class _Family:
    """Operations of which no member trains two, with gradients of one form in the same columns."""

    def __init__(self, op: Operation, weights: Sequence[Tensor], flat: Tensor, start: int) -> None:
        self.members: list[int] = []
        self._op = op
        self._targets = []
        for weight in weights:
            part = flat[:, start : (start := start + weight[0].numel())]
            self._targets.append(part.view(weight.shape))

    def narrow(self, n: int) -> None:
        self.members = sorted(k for k in self.members if k < n)
        self._targets = [t[:n] for t in self._targets]
        self._pending: dict[int, tuple[Tensor, Tensor]] = {}
        self._out, self._rows = self._targets, None
        if len(self.members) < n:
            self._out = [torch.empty_like(t[: len(self.members)]) for t in self._targets]
            self._rows = torch.tensor(self.members, device=self._targets[0].device)

    def collect(self, members: Sequence[int], grad: Tensor, evidence: Tensor) -> None:
        axis = self._op.axis
        if len(members) == grad.shape[axis]:
            self._op.gradients(grad, evidence, self._out)
        else:
            self._pending.update((k, (grad.select(axis, k), evidence.select(axis, k))) for k in members)

    def finish(self) -> None:
        if not self._pending:
            return
        grads, evidence = zip(*(self._pending[k] for k in self.members), strict=True)
        self._pending = {}
        self._op.gradients(torch.stack(grads, self._op.axis), torch.stack(evidence, self._op.axis), self._out)
        if self._rows is not None:
            for target, gradient in zip(self._targets, self._out, strict=True):
                target.index_copy_(0, self._rows, gradient)
