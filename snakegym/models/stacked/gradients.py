"""Which gradients a stack needs, and where they go."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from snakegym.models.stacked.operations import Operation, Signal, Trainable


class GradientPlan:
    """Gradients of the layers that K members train, written into the rows of one tensor.

    Members may train different layers. Where these are alike and their gradients go to the same
    columns (seven residual layers, of which everybody trains one), one product serves all.

    Args:
        operations: of the model, in the order in which they run.
        layer_of: the layer of each operation.
        weights: the parameters of each operation, each [K, *shape].
        members: per layer who trains it, in rising order.
        columns: of the gradients of each trained layer with parameters.
        flat: [K, width], overwritten by every backward pass where something is trained.
    """

    def __init__(
        self,
        operations: Sequence[Operation],
        layer_of: Sequence[int],
        weights: Sequence[Sequence[Tensor]],
        members: Sequence[Sequence[int]],
        columns: Mapping[int, slice],
        flat: Tensor,
    ) -> None:
        self._users: dict[int, tuple[Trainable, _Family, Sequence[int], Tensor]] = {}
        """Per operation who trains it, also as a tensor."""
        families: dict[Hashable, _Family] = {}
        used = dict.fromkeys(columns, 0)
        for i, (op, layer, own) in enumerate(zip(operations, layer_of, weights, strict=True)):
            if not own or not members[layer] or not isinstance(op, Trainable):
                continue
            start = columns[layer].start + used[layer]
            used[layer] += sum(w[0].numel() for w in own)
            key = (-1 if op.joint else i, start, tuple(w.shape for w in own))
            family = families.setdefault(key, _Family(op, own, flat, start))
            places = torch.tensor(members[layer], device=flat.device)
            self._users[i] = (op, family, members[layer], places)
        self.lowest = min(self._users, default=len(operations))
        """Nobody needs a gradient below this operation."""
        self.narrow(len(flat))

    def narrow(self, n: int) -> None:
        """From now on there are only the first n members."""
        self._families: dict[_Family, list[Tensor]] = {}
        self._wanted: dict[int, tuple[Trainable, _Family, Tensor | None]] = {}
        for i in sorted(self._users, reverse=True):  # as the backward pass meets them
            op, family, users, places = self._users[i]
            left = bisect_left(users, n)
            if left:
                self._families.setdefault(family, []).append(places[:left])
                self._wanted[i] = (op, family, None if left == n else places[:left])
        for family, rows in self._families.items():
            family.narrow(n, torch.cat(rows))

    def collect(self, operation: int, grad: Signal, saved: Any) -> None:
        """Takes what the gradients of an operation are made from, if they are wanted."""
        if operation in self._wanted:
            op, family, rows = self._wanted[operation]
            family.collect(rows, op.product(grad), op.evidence(saved))

    def finish(self) -> None:
        """Forms the gradients for which all has been collected by now."""
        for family in self._families:
            family.finish()


class _Family:
    """Operations of which no member trains two, with gradients of one form in the same columns."""

    def __init__(self, op: Trainable, weights: Sequence[Tensor], flat: Tensor, start: int) -> None:
        self._op = op
        self._targets = []
        self._pending: list[tuple[Tensor, Tensor]] = []
        for weight in weights:
            part = flat[:, start : (start := start + weight[0].numel())]
            self._targets.append(part.view(weight.shape))

    def narrow(self, n: int, rows: Tensor) -> None:
        """From now on these of the first n members train one, in the order in which they are collected."""
        self._targets, self._rows = [t[:n] for t in self._targets], rows

    def collect(self, rows: Tensor | None, grad: Tensor, evidence: Tensor) -> None:
        if rows is None:
            self._op.gradients(grad, evidence, self._targets)
        else:  # copies, as the backward pass goes on to write into its gradient
            axis = self._op.axis
            self._pending.append((grad.index_select(axis, rows), evidence.index_select(axis, rows)))

    def finish(self) -> None:
        if self._pending:
            grad, evidence = (torch.cat(parts, self._op.axis) for parts in zip(*self._pending, strict=True))
            self._pending.clear()
            out = [t.new_empty((len(self._rows), *t.shape[1:])) for t in self._targets]
            self._op.gradients(grad, evidence, out)
            for target, gradient in zip(self._targets, out, strict=True):
                target.index_copy_(0, self._rows, gradient)
