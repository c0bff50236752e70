"""Layers of the zoo's models. What one of them holds is trained, handed on and costed as one layer."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class ResidualLinear(nn.Module):
    """x + W relu(x) + b: features [n, width] to [n, width].

    With the activation before the product (He et al. 2016, arXiv:1603.05027) and weights scaled
    down at the start (Zhang et al. 2019, arXiv:1901.09321) depth neither inflates nor kills the
    signal, which a normalisation would cost more time to achieve.
    """

    def __init__(self, width: int, scale: float) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.scale = scale

    def forward(self, inputs: Tensor) -> Tensor:
        """Features of the same shape."""
        product: Tensor = self.linear(inputs.relu())
        return inputs + product

    def reset_parameters(self) -> None:
        """Scales the fresh weights of the product down."""
        with torch.no_grad():
            self.linear.weight.mul_(self.scale)


class ResidualBlock(nn.Module):
    """x + V relu(U x + b) + c: features [n, width] to [n, width], by way of `hidden` others.

    What it holds, moves and computes grows with `hidden`, while the trunk between the blocks stays as
    narrow as it is. Weights of the way back are scaled down at the start, as in `ResidualLinear`.
    """

    def __init__(self, width: int, hidden: int, scale: float) -> None:
        super().__init__()
        self.widen = nn.Linear(width, hidden)
        self.narrow = nn.Linear(hidden, width)
        self.scale = scale

    def forward(self, inputs: Tensor) -> Tensor:
        """Features of the same shape."""
        branch: Tensor = self.narrow(self.widen(inputs).relu())
        return inputs + branch

    def reset_parameters(self) -> None:
        """Scales the fresh weights of the way back down."""
        with torch.no_grad():
            self.narrow.weight.mul_(self.scale)


class MaxPool(nn.MaxPool2d):
    """2x2 max-pooling, faster where no gradients are wanted: 0.2 instead of 5 ms for 150 x 8 x 32 x 32."""

    def __init__(self) -> None:
        super().__init__(2)

    def forward(self, inputs: Tensor) -> Tensor:
        """Features [..., height, width] to [..., height // 2, width // 2]."""
        if torch.is_grad_enabled() or inputs.shape[-2] % 2 or inputs.shape[-1] % 2:
            pooled: Tensor = super().forward(inputs)
            return pooled
        rows = torch.maximum(inputs[..., 0::2, :], inputs[..., 1::2, :])
        return torch.maximum(rows[..., 0::2], rows[..., 1::2])


def convolution(inputs: int, outputs: int, norm: str, pool: bool) -> nn.Sequential:
    """A 3x3 convolution with its normalisation, 2x2 max-pooling if wanted, and activation.

    `norm` is `group` or `none`. Group norm (Wu and He 2018, arXiv:1803.08494) needs no batch
    statistics, which small Non-IID batches would spoil.
    """
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 3, padding=1, bias=norm == "none")]
    if norm == "group":
        layers.append(nn.GroupNorm(math.gcd(outputs, 8), outputs))
    if pool:  # before the ReLU, which commutes with it and so has a quarter of the work
        layers.append(MaxPool())
    layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def dense(inputs: int, outputs: int) -> nn.Sequential:
    """A fully connected layer with ReLU on flattened inputs."""
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, outputs), nn.ReLU())
