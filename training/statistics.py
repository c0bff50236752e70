"""Statistics of few episodes: interquartile means and bootstrap intervals.

After "Deep Reinforcement Learning at the Edge of the Statistical Precipice" (Agarwal et al.,
NeurIPS 2021): the interquartile mean is robust against outliers and wastes less of the data than
the median; the interval says how much another draw of episodes could move it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

RESAMPLES = 5000
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A value with its interval; an interval needs two episodes at least."""

    value: float
    low: float | None
    high: float | None

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def iqm(values: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Mean of the middle half along `axis` (a quarter is cut off at each end)."""
    result: NDArray[np.float64] = np.asarray(stats.trim_mean(values, 0.25, axis=axis))
    return result


def estimate(values: Sequence[float]) -> Estimate:
    """Interquartile mean and its 95 % percentile-bootstrap interval.

    The resampling is seeded afresh for each call, so the same values give the same interval.

    Args:
        values: one per episode, one at least, finite.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.size == 0 or not np.isfinite(sample).all():
        raise ValueError(f"expected finite values, one at least, found {values!r}")
    value = float(iqm(sample))
    if sample.size == 1:
        return Estimate(value, None, None)
    interval = stats.bootstrap(
        (sample,),
        iqm,
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Estimate(value, float(interval.low), float(interval.high))


def paired_difference(values: Sequence[float], baseline: Sequence[float]) -> Estimate:
    """Estimate of the difference episode by episode: what the episodes have in common cancels.

    Args:
        values: one per episode.
        baseline: of the same episodes in the same order.
    """
    return estimate((np.asarray(values) - np.asarray(baseline)).tolist())


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
