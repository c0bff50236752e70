"""The optimisers of a stack: one step of all members, each at its own learning rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

Slots = Sequence[tuple[slice, Tensor]]
"""Of one member: columns of its gradients, and the parameters [n] that they belong to."""


class StackedOptimizer:
    """Adam, SGD or RMSprop for all members, with PyTorch's defaults; state as fresh as the object.

    Args:
        kind: which one.
        parameters: per member.
        gradients: [K, width], read (and overwritten) by every step.
        rates: learning rate of each member.
    """

    def __init__(
        self,
        kind: Literal["adam", "sgd", "rmsprop"],
        parameters: Sequence[Slots],
        gradients: Tensor,
        rates: Sequence[float],
    ) -> None:
        self._gradients = gradients
        self._steps = torch.zeros((), device=gradients.device)
        self._state = [torch.zeros_like(gradients) for _ in range({"adam": 2, "sgd": 0, "rmsprop": 1}[kind])]
        rules = {"adam": self._adam, "sgd": self._sgd, "rmsprop": self._rmsprop}
        self._rule: Callable[[], None] = rules[kind]
        rows = [flat.unbind(0) for flat in (gradients, *self._state)]
        self._groups = [
            _Group(rate, [k for k, own in enumerate(rates) if own == rate], parameters, rows)
            for rate in sorted(set(rates))
        ]

    def narrow(self, n: int) -> None:
        """From now on only the first n members are stepped."""
        self._gradients = self._gradients[:n]
        self._state = [state[:n] for state in self._state]
        for group in self._groups:
            group.narrow(n)
        self._groups = [group for group in self._groups if group.lists[0]]

    def step(self) -> None:
        """One step with the gradients as they are now."""
        self._rule()

    def _adam(self) -> None:
        self._steps += 1
        for group in self._groups:
            parameters, gradients, means, squares = group.lists
            torch._fused_adam_(
                parameters, gradients, means, squares, [], [self._steps] * len(parameters), lr=group.rate,
                beta1=0.9, beta2=0.999, weight_decay=0.0, eps=1e-8, amsgrad=False, maximize=False,
            )  # fmt: skip

    def _sgd(self) -> None:
        for group in self._groups:
            torch._foreach_add_(group.lists[0], group.lists[1], alpha=-group.rate)

    def _rmsprop(self) -> None:
        squares = self._state[0]
        squares.mul_(0.99).addcmul_(self._gradients, self._gradients, value=0.01)
        self._gradients.div_(squares.sqrt().add_(1e-8))
        self._sgd()


class _Group:
    """Members of one learning rate: their parameters, gradients and state, tensor by tensor."""

    def __init__(
        self,
        rate: float,
        members: Sequence[int],
        parameters: Sequence[Slots],
        rows: Sequence[Sequence[Tensor]],
    ) -> None:
        self.rate = rate
        self._owners = [k for k in members for _ in parameters[k]]
        self.lists = [[tensor for k in members for _, tensor in parameters[k]]]
        for row in rows:
            self.lists.append([row[k][columns] for k in members for columns, _ in parameters[k]])

    def narrow(self, n: int) -> None:
        left = sum(k < n for k in self._owners)
        self.lists = [tensors[:left] for tensors in self.lists]
