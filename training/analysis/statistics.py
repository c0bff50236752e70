"""Which points are the best trade-offs, and how values spread between groups and within them."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True)
class Spread:
    """How the values of a table [groups, repetitions] spread: between the groups and within them."""

    between: float
    """Standard deviation of the groups' true means (what remains after the noise of a mean of few)."""
    within: float
    """Standard deviation of repetitions of one group."""

    @property
    def share_between(self) -> float:
        """Share of the variance that lies between the groups, in [0, 1]; 0 if there is none at all."""
        total = self.between**2 + self.within**2
        return self.between**2 / total if total > 0 else 0.0


def spread(table: NDArray[np.float64]) -> Spread:
    """One-way analysis of variance of a table [groups >= 2, repetitions >= 2]."""
    repetitions = table.shape[1]
    within = float(table.var(axis=1, ddof=1).mean())
    between = max(0.0, float(table.mean(axis=1).var(ddof=1)) - within / repetitions)
    return Spread(between**0.5, within**0.5)
