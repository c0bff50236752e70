"""What the checks have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, Final

import numpy as np
import torch

from snakegym.models.state import ModelState

CLOSE: Final = 1e-4
"""How far outputs and parameters may differ where the order of summation may."""


@contextmanager
def global_generators_untouched(whose: str) -> Iterator[None]:
    """In this block those of numpy and torch give nothing away."""
    before = _numpy_state(), torch.get_rng_state()
    yield
    assert same(_numpy_state(), before[0]), f"the {whose} drew from numpy's global generator"
    assert torch.equal(torch.get_rng_state(), before[1]), f"the {whose} drew from torch's global generator"


def _numpy_state() -> Any:
    state: Any = np.random.get_state()  # noqa: NPY002 - the global one is meant
    return np.append(state[1], state[2])  # the second says how many of the first are used up


def alike(one: ModelState, other: ModelState) -> bool:
    """Whether two models have the same names and numbers."""
    return len(one) == len(other) and all(
        a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
        for a, b in zip(one.layers, other.layers, strict=True)
    )


def same(one: Any, other: Any) -> bool:
    """Whether two views, or parts of them, hold the same."""
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other))
    if hasattr(one, "__dataclass_fields__"):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    return bool(one == other)
