"""The weights of a policy in a checkpoint: whether they are those that its config tells of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from snakegym.agents.trained.checkpoint import STAMP, Checkpoint
from snakegym.agents.trained.config import Plain
from snakegym.errors import SnakegymError


class _Stamp(Plain):
    algo: str


def check_stamp(checkpoint: Checkpoint, algo: str) -> None:
    """Whether the checkpoint, if it says so, is one of that algorithm. Raises SnakegymError if not."""
    if STAMP not in checkpoint:
        return
    found = checkpoint.stamp(_Stamp).algo
    if found != algo:
        raise SnakegymError(f"{checkpoint.path}: holds a policy of '{found}', expected one of '{algo}'")


def check_weights(checkpoint: Checkpoint, found: Mapping[str, Any], expected: Mapping[str, Tensor]) -> None:
    """Whether these are weights for a policy with the `expected` ones.

    Raises:
        SnakegymError: they are those of another policy, or no numbers.
    """
    path = checkpoint.path
    strange = sorted({*found} ^ {*expected})
    if strange:
        has = "has" if strange[0] in found else "lacks"
        raise SnakegymError(
            f"{path}: holds the weights of another algorithm or policy: it {has} '{strange[0]}', expected "
            f"{len(expected)} tensors as config.json says"
        )
    for name, tensor in expected.items():
        shape = tuple(found[name].shape) if isinstance(found[name], Tensor) else type(found[name]).__name__
        if shape != tuple(tensor.shape):
            raise SnakegymError(
                f"{path}: holds weights of another shape: '{name}' is {shape}, expected {tuple(tensor.shape)}"
            )
        if not bool(torch.isfinite(found[name]).all()):
            raise SnakegymError(
                f"{path}: '{name}' holds values that are no finite numbers: training diverged"
            )


def policy_weights(checkpoint: Checkpoint, algo: str, expected: Mapping[str, Tensor]) -> dict[str, Any]:
    """The weights of the policy in a checkpoint of that algorithm, of these names and shapes.

    Raises:
        SnakegymError: they are damaged, or another's.
    """
    check_stamp(checkpoint, algo)
    weights = checkpoint.tensors("policy.pth", size_of(expected))
    check_weights(checkpoint, weights, expected)
    return weights


def size_of(tensors: Mapping[str, Tensor]) -> int:
    """Bytes of all of them together."""
    return sum(t.numel() * t.element_size() for t in tensors.values())
