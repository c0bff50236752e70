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
        self._parameters, self._gradients, self._rates = parameters, gradients, rates
        self._steps = torch.zeros((), device=gradients.device)
        slots = {"adam": 2, "sgd": 0, "rmsprop": 1}[kind]
        self._state = [torch.zeros_like(gradients) for _ in range(slots)]
        self._rule: Callable[[], None] = {"adam": self._adam, "sgd": self._sgd, "rmsprop": self._rmsprop}[
            kind
        ]
        self.narrow(len(parameters))

    def narrow(self, n: int) -> None:
        """From now on only the first n members are stepped."""
        self._n = n
        self._groups: list[tuple[float, list[Tensor], list[list[Tensor]]]] = []
        for rate in sorted(set(self._rates[:n])):
            own = [(k, s, p) for k in range(n) if self._rates[k] == rate for s, p in self._parameters[k]]
            flats = (self._gradients, *self._state)
            self._groups.append(
                (rate, [p for *_, p in own], [[flat[k, s] for k, s, _ in own] for flat in flats])
            )

    def step(self) -> None:
        """One step with the gradients as they are now."""
        self._rule()

    def _adam(self) -> None:
        self._steps += 1
        for rate, parameters, (gradients, means, squares) in self._groups:
            torch._fused_adam_(
                parameters, gradients, means, squares, [], [self._steps] * len(parameters), lr=rate,
                beta1=0.9, beta2=0.999, weight_decay=0.0, eps=1e-8, amsgrad=False, maximize=False,
            )  # fmt: skip

    def _sgd(self) -> None:
        for rate, parameters, (gradients, *_) in self._groups:
            torch._foreach_add_(parameters, gradients, alpha=-rate)

    def _rmsprop(self) -> None:
        gradients, squares = self._gradients[: self._n], self._state[0][: self._n]
        squares.mul_(0.99).addcmul_(gradients, gradients, value=0.01)
        gradients.div_(squares.sqrt().add_(1e-8))
        self._sgd()
