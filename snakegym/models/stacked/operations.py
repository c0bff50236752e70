"""The operations of a stacked model, each with its gradient written out.

Dense features are [K, n, d] with weights [K, out, in] in batched products; images are
[n, K, C, H, W], which is what one grouped convolution takes: for 16 members (16 to 32 channels, 2x2
to 8x8 pixels, one thread) it needs 0.5 to 0.9 of the time of one convolution a member, im2col with
batched products 0.5 to 2 times.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Bound = Any
"""An operation's parameters in the form in which it uses them."""
Signal = Any
"""What goes from one operation to the next: a tensor; within a residual block two, trunk and branch."""
_aten = torch.ops.aten


class Operation(ABC):
    """A step of a layer for K members at once."""

    names: tuple[str, ...] = ()
    """Its parameters in the layer."""
    fresh = False
    """Whether nobody needs its output but the next operation, which may then write into it."""
    overwrites = False
    """Whether it may write into its input; the model says so. Gradients may always be written into."""

    def bind(self, weights: Sequence[Tensor]) -> Bound:
        """Its parameters, each [K, *shape], ready for use; views, so that they may change."""
        return None

    @abstractmethod
    def forward(self, x: Signal, bound: Bound) -> tuple[Signal, Any]:
        """Output, and what `backward` and `evidence` need to know."""

    @abstractmethod
    def backward(self, grad: Signal, saved: Any, bound: Bound) -> Signal:
        """Gradient with respect to the input, from that with respect to the output."""


class Trainable(Operation):
    """An operation that may have parameters."""

    axis: int
    """Of the members, in inputs and outputs."""
    joint: bool
    """Whether gradients of several such operations, with parameters of one shape, fit into one call."""

    def product(self, grad: Signal) -> Tensor:
        """Of the gradient of the output the part that the parameters' gradients are made from."""
        tensor: Tensor = grad
        return tensor

    @abstractmethod
    def evidence(self, saved: Any) -> Tensor:
        """What the gradients with respect to the parameters need, besides that of the output."""

    @abstractmethod
    def gradients(self, grad: Tensor, evidence: Tensor, out: Sequence[Tensor]) -> None:
        """Gradients with respect to the parameters, written to `out`, each [K, *shape]."""


class Relu(Operation):
    """max(x, 0)."""

    def forward(self, x: Tensor, bound: Bound) -> tuple[Tensor, Tensor]:
        x = x.relu_() if self.overwrites else x.relu()
        return x, x

    def backward(self, grad: Tensor, saved: Tensor, bound: Bound) -> Tensor:
        result: Tensor = _aten.threshold_backward.grad_input(grad, saved, 0, grad_input=grad)
        return result


class Flatten(Operation):
    """Images [n, K, *shape] to features [K, n, d]; samples [K, n, *shape] of a dense model too."""

    def __init__(self, images: bool) -> None:
        self.images = images

    def forward(self, x: Tensor, bound: Bound) -> tuple[Tensor, torch.Size]:
        y = x.flatten(2)
        return (y.transpose(0, 1).contiguous() if self.images else y), x.shape

    def backward(self, grad: Tensor, saved: torch.Size, bound: Bound) -> Tensor:
        return (grad.transpose(0, 1) if self.images else grad).reshape(saved)


class Product(Trainable):
    """An operation with the parameters of W x + b."""

    axis = 0
    joint = True
    fresh = True

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def bind(self, weights: Sequence[Tensor]) -> Bound:
        bias = weights[1].unsqueeze(1) if len(weights) > 1 else None
        return weights[0], weights[0].transpose(1, 2), bias

    def evidence(self, saved: Tensor) -> Tensor:
        return saved

    def gradients(self, grad: Tensor, evidence: Tensor, out: Sequence[Tensor]) -> None:
        torch.bmm(grad.transpose(1, 2), evidence, out=out[0])
        if len(out) > 1:
            out[1].copy_(grad.sum(1))


class Linear(Product):
    """W x + b."""

    def forward(self, x: Tensor, bound: Bound) -> tuple[Tensor, Tensor]:
        _, transposed, bias = bound
        return (torch.bmm(x, transposed) if bias is None else torch.baddbmm(bias, x, transposed)), x

    def backward(self, grad: Tensor, saved: Tensor, bound: Bound) -> Tensor:
        return torch.bmm(grad, bound[0])


class ResidualLinear(Product):
    """x + W relu(x) + b."""

    def forward(self, x: Tensor, bound: Bound) -> tuple[Tensor, Tensor]:
        features = x.relu()
        x = x.add_(bound[2]) if self.overwrites else x + bound[2]
        return x.baddbmm_(features, bound[1]), features

    def backward(self, grad: Tensor, saved: Tensor, bound: Bound) -> Tensor:
        # Half the time of `threshold_backward`; nobody needs the features themselves any more.
        return grad.addcmul_(torch.bmm(grad, bound[0]), saved.sign_())


class Widen(Product):
    """First half of a residual block: x to the pair of x, the trunk, and U x + b, the branch."""

    def forward(self, x: Tensor, bound: Bound) -> tuple[tuple[Tensor, Tensor], Tensor]:
        return (x, torch.baddbmm(bound[2], x, bound[1])), x

    def backward(self, grad: tuple[Tensor, Tensor], saved: Tensor, bound: Bound) -> Tensor:
        trunk, branch = grad
        return trunk.baddbmm_(branch, bound[0])

    def product(self, grad: tuple[Tensor, Tensor]) -> Tensor:
        return grad[1]


class Narrow(Product):
    """Second half of a residual block: trunk and branch to trunk + V relu(branch) + c."""

    def forward(self, x: tuple[Tensor, Tensor], bound: Bound) -> tuple[Tensor, Tensor]:
        trunk, features = x[0], x[1].relu_()
        return (trunk + bound[2]).baddbmm_(features, bound[1]), features  # the trunk is needed again

    def backward(self, grad: Tensor, saved: Tensor, bound: Bound) -> tuple[Tensor, Tensor]:
        branch = torch.bmm(grad, bound[0])
        _aten.threshold_backward.grad_input(branch, saved, 0, grad_input=branch)
        return grad, branch


class Convolution(Trainable):
    """All members in one grouped convolution, in which a group sees its member's channels alone."""

    axis = 1
    joint = False  # images may differ in size
    fresh = True

    def __init__(self, names: tuple[str, ...], module: nn.Conv2d) -> None:
        self.names = names
        self.geometry = (list(module.stride), list(module.padding), list(module.dilation))
        self.groups = module.groups

    def bind(self, weights: Sequence[Tensor]) -> Bound:
        return weights  # flattening may copy, and the parameters will change

    def forward(self, x: Tensor, bound: Bound) -> tuple[Tensor, Tensor]:
        members = x.shape[1]
        weight, bias = bound[0].flatten(0, 1), bound[1].flatten() if len(bound) > 1 else None
        y = _aten.convolution.default(
            x.flatten(1, 2), weight, bias, *self.geometry, False, [0, 0], members * self.groups
        )
        return y.view(y.shape[0], members, -1, *y.shape[2:]), x

    def backward(self, grad: Tensor, saved: Tensor, bound: Bound) -> Tensor:
        result: Tensor = self._backward(grad, saved, bound[0].flatten(0, 1), [True, False, False])[0]
        return result.view(saved.shape)

    def evidence(self, saved: Tensor) -> Tensor:
        return saved

    def gradients(self, grad: Tensor, evidence: Tensor, out: Sequence[Tensor]) -> None:
        shape = out[0].shape
        like = grad.new_empty((shape[0] * shape[1], *shape[2:]))  # nobody looks at the values
        out[0].copy_(self._backward(grad, evidence, like, [False, True, False])[1].view(shape))
        if len(out) > 1:
            out[1].copy_(grad.sum((0, 3, 4)))

    def _backward(self, grad: Tensor, x: Tensor, weight: Tensor, wanted: list[bool]) -> Any:
        return _aten.convolution_backward.default(
            grad.flatten(1, 2), x.flatten(1, 2), weight, None, *self.geometry, False, [0, 0],
            x.shape[1] * self.groups, wanted,
        )  # fmt: skip


class GroupNorm(Trainable):
    """Group norm of images, without and then with each member's own factors and offsets."""

    axis = 1
    joint = False  # images may differ in size

    def __init__(self, names: tuple[str, ...], module: nn.GroupNorm) -> None:
        self.names = names
        self.fresh = len(names) > 0  # else the output is what it saves
        self.groups, self.eps = module.num_groups, module.eps

    def bind(self, weights: Sequence[Tensor]) -> Bound:
        return [w[..., None, None] for w in weights]

    def forward(self, x: Tensor, bound: Bound) -> tuple[Tensor, Any]:
        merged = x.flatten(0, 1)
        y, mean, deviation = torch.native_group_norm(
            merged, None, None, len(merged), merged.shape[1], merged.shape[2:].numel(), self.groups, self.eps
        )
        y = y.view(x.shape)
        saved = (merged, mean, deviation, y)
        return (torch.addcmul(bound[1], y, bound[0]) if bound else y), saved

    def backward(self, grad: Tensor, saved: Any, bound: Bound) -> Tensor:
        merged, mean, deviation, y = saved
        if bound:
            grad = grad * bound[0]
        n, channels = merged.shape[:2]
        result: Tensor = _aten.native_group_norm_backward.default(
            grad.reshape(merged.shape), merged, mean, deviation, None, n, channels,
            merged.shape[2:].numel(), self.groups, [True, False, False],
        )[0]  # fmt: skip
        return result.view(y.shape)

    def evidence(self, saved: Any) -> Tensor:
        y: Tensor = saved[3]
        return y

    def gradients(self, grad: Tensor, evidence: Tensor, out: Sequence[Tensor]) -> None:
        if out:
            out[0].copy_((grad * evidence).sum((0, 3, 4)))
            out[1].copy_(grad.sum((0, 3, 4)))


class MaxPool(Operation):
    """Max-pooling of images."""

    fresh = True

    def __init__(self, module: nn.MaxPool2d) -> None:
        sizes = (module.kernel_size, module.stride, module.padding, module.dilation)
        self.geometry = [[v, v] if isinstance(v, int) else list(v) for v in sizes]
        self.ceil = module.ceil_mode

    def forward(self, x: Tensor, bound: Bound) -> tuple[Tensor, Any]:
        y, where = _aten.max_pool2d_with_indices.default(x.flatten(0, 1), *self.geometry, self.ceil)
        return y.view(*x.shape[:2], *y.shape[1:]), (x, where)

    def backward(self, grad: Tensor, saved: Any, bound: Bound) -> Tensor:
        x, where = saved
        result: Tensor = _aten.max_pool2d_with_indices_backward.default(
            grad.flatten(0, 1), x.flatten(0, 1), *self.geometry, self.ceil, where
        )
        return result.view(x.shape)


class AdaptiveAvgPool(Operation):
    """Mean-pooling of images to a given size."""

    def __init__(self, module: nn.AdaptiveAvgPool2d) -> None:
        self.size = module.output_size

    def forward(self, x: Tensor, bound: Bound) -> tuple[Tensor, Tensor]:
        y = functional.adaptive_avg_pool2d(x.flatten(0, 1), self.size)
        return y.view(*x.shape[:2], *y.shape[1:]), x

    def backward(self, grad: Tensor, saved: Tensor, bound: Bound) -> Tensor:
        if grad.shape == saved.shape:  # nothing was pooled
            return grad
        result: Tensor = _aten._adaptive_avg_pool2d_backward.default(grad.flatten(0, 1), saved.flatten(0, 1))
        return result.view(saved.shape)
