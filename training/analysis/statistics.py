"""Which points are the best trade-offs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def front(costs: ArrayLike, values: ArrayLike) -> NDArray[np.bool_]:
    """Which points no other one dominates: none costs less or as much and is worth more or as much.

    Args:
        costs: [points], less is better.
        values: [points], more is better. Equal points do not dominate each other.
    """
    cost, value = np.asarray(costs, dtype=np.float64), np.asarray(values, dtype=np.float64)
    no_worse = (cost[:, None] <= cost) & (value[:, None] >= value)
    better = (cost[:, None] < cost) | (value[:, None] > value)
    dominated: NDArray[np.bool_] = np.any(no_worse & better, axis=0)
    return ~dominated
