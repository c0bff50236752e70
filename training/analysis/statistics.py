"""Statistics of few episodes and fewer training seeds: robust values, bootstrap intervals.

After "Deep Reinforcement Learning at the Edge of the Statistical Precipice" (Agarwal et al.,
NeurIPS 2021, arXiv:2108.13264): the interquartile mean is robust against outliers and wastes less of
the data than the median; the interval says how much another draw could move it; the probability of
improvement and the performance profile do not rest on a single summary. The numbers are scipy's.

Values come as a table [training seeds, episodes]: a row of numbers is one seed. The bootstrap is
stratified by the two things that vary: seeds and episodes are drawn with replacement each by
itself, and a drawn episode counts for every drawn seed. (The paper draws runs anew for each task,
as there every task has its own training; here one trained policy plays all episodes, and to draw
its seed anew for each of them would make the intervals too short.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

RESAMPLES = 5000
LEVEL = 0.95
BATCH = 2_000_000
"""Numbers that a batch of resamples may hold at once."""

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Estimate:
    """A value with its interval; an interval needs two episodes or two training seeds at least."""

    value: float
    low: float | None
    high: float | None

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True)
class Band:
    """A curve with its pointwise interval, arrays of one length; no interval, no arrays."""

    value: Floats
    low: Floats | None
    high: Floats | None


def iqm(values: Floats, axis: int = -1) -> Floats:
    """Mean of the middle half along `axis` (a quarter is cut off at each end); within the values."""
    # A mean of equal values is rounded: without the bounds it lies beside them, and intervals cross over.
    result: Floats = np.clip(stats.trim_mean(values, 0.25, axis=axis), values.min(axis), values.max(axis))
    return result


def estimate(values: ArrayLike) -> Estimate:
    """Interquartile mean and its 95 % percentile-bootstrap interval.

    The resampling is seeded afresh for each call, so the same values give the same interval.

    Args:
        values: one per episode, or a table [training seeds, episodes]; one at least, finite.
    """
    table = _table(values)
    return _estimate(table.shape, lambda seeds, episodes: iqm(_flat(_drawn(table, seeds, episodes))))


def paired_difference(values: ArrayLike, baseline: ArrayLike) -> Estimate:
    """Estimate of the difference episode by episode: what the episodes have in common cancels.

    Args:
        values: one per episode, or a table [training seeds, episodes].
        baseline: of the same episodes in the same order; its training seeds, if any, are averaged.
    """
    own, other = _table(values), _table(baseline)

    def statistic(seeds: Indices, other_seeds: Indices, episodes: Indices) -> Floats:
        reference = _drawn(other, other_seeds, episodes).mean(axis=-2, keepdims=True)
        return iqm(_flat(_drawn(own, seeds, episodes) - reference))

    return _estimate((len(own), *other.shape), statistic)


def probability_of_improvement(values: ArrayLike, baseline: ArrayLike) -> Estimate:
    """Probability that a value is above the baseline's on the same episode; ties count half.

    The Mann-Whitney U statistic of the training seeds, as a share, averaged over the episodes
    (Agarwal et al., section 4.3, with episodes for tasks). Arguments as `paired_difference`.
    """
    own, other = _table(values), _table(baseline)

    def statistic(seeds: Indices, other_seeds: Indices, episodes: Indices) -> Floats:
        u = stats.mannwhitneyu(
            _drawn(own, seeds, episodes),
            _drawn(other, other_seeds, episodes),
            axis=-2,
            method="asymptotic",  # of the p-value, which is not used
        ).statistic
        return np.asarray(u.mean(axis=-1) / (len(own) * len(other)))

    return _estimate((len(own), *other.shape), statistic)


def profile(values: ArrayLike, thresholds: ArrayLike) -> Band:
    """Share of the values that reach each threshold, with its band: a performance profile.

    Args:
        values: one per episode, or a table [training seeds, episodes]; minus infinity never
            reaches anything.
        thresholds: [points].
    """
    table = np.atleast_2d(np.asarray(values, dtype=np.float64))
    reached = (table >= np.asarray(thresholds, dtype=np.float64)[:, None, None]).astype(np.float64)

    def statistic(seeds: Indices, episodes: Indices) -> Floats:
        share: Floats = _flat(_drawn(reached, seeds, episodes)).mean(axis=-1)
        return share

    value, interval = _bootstrap(table.shape, statistic, len(reached))
    return Band(value, *(interval or (None, None)))


def share(values: ArrayLike, threshold: float) -> Estimate:
    """One point of a `profile`."""
    band = profile(values, [threshold])
    low, high = (None if b is None else float(b[0]) for b in (band.low, band.high))
    return Estimate(float(band.value[0]), low, high)


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


def _table(values: ArrayLike) -> Floats:
    table = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if table.size == 0 or not np.isfinite(table).all():
        raise ValueError(f"expected finite values, one at least, found {values!r}")
    return table


def _drawn(table: Floats, seeds: Indices, episodes: Indices) -> Floats:
    """[..., seeds, episodes]: every drawn episode of every drawn seed."""
    result: Floats = table[..., seeds[..., :, None], episodes[..., None, :]]
    return result


def _flat(table: Floats) -> Floats:
    return table.reshape(*table.shape[:-2], -1)


def _estimate(sizes: Sequence[int], statistic: Callable[..., Floats]) -> Estimate:
    value, interval = _bootstrap(sizes, statistic)
    low, high = (float(bound) for bound in interval) if interval else (None, None)
    return Estimate(float(value), low, high)


def _bootstrap(
    sizes: Sequence[int], statistic: Callable[..., Floats], points: int = 1
) -> tuple[Floats, tuple[Floats, Floats] | None]:
    """The value, and its interval where there is something to draw.

    Args:
        sizes: of each factor (training seeds, episodes); one of a single element is not drawn.
        statistic: of one array of indices [..., size] per factor.
        points: numbers that the statistic gives at once.
    """
    everything = [np.arange(size) for size in sizes]
    value = statistic(*everything)
    varying = [i for i, size in enumerate(sizes) if size > 1]
    if not varying:
        return value, None

    def of_drawn(*drawn: Indices, axis: int) -> Floats:
        indices = list(everything)
        for i, array in zip(varying, drawn, strict=True):
            indices[i] = array
        return statistic(*indices)

    interval = stats.bootstrap(
        [everything[i] for i in varying],
        of_drawn,
        n_resamples=RESAMPLES,
        batch=max(1, BATCH // (points * int(np.prod(sizes)))),
        confidence_level=LEVEL,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(0),
    ).confidence_interval
    return value, (np.asarray(interval.low), np.asarray(interval.high))


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
