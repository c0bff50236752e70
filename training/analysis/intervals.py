"""Intervals: how far another draw of episodes and training seeds could move a number. The only ones here.

Values come as a table [training seeds, episodes]: a row of numbers is one seed. Both vary, each by
itself, and an episode is the same for every seed, so a hundred numbers of two seeds are not a hundred
values. How an interval is made depends on how much there is, and every estimate says which it is:

- *bootstrap*: 8 episodes (and, of what was trained with several seeds, 8 seeds) or more. The percentile
  bootstrap of the interquartile mean; seeds and episodes are drawn with replacement each by itself, and a
  drawn episode counts for every drawn seed (Owen, "The pigeonhole bootstrap", Annals of Applied Statistics
  2007). As percentiles of few resampled values lie too close together, they are taken further out, by
  Student's t (Hesterberg, "What Teachers Should Know about the Bootstrap", The American Statistician 2015,
  section 4.3: the expanded percentile interval). Of fewer values plain percentiles are far too close:
  50 / 74 / 87 % at 2 / 3 / 4 instead of 95 %.
- *t*: fewer than that. Student's t around the value. The standard errors over seeds and over episodes are
  each widened by their own quantile, then added as squares (Howe, "Approximate confidence limits on the
  mean of X + Y", JASA 1974), so three training seeds are three values, however many episodes they play.
- *binomial*: of shares and probabilities. Clopper and Pearson's, of as many values as would vary like
  these (Korn and Graubard, "Confidence intervals for proportions with small expected number of positive
  counts", Survey Methodology 1998), at least as many as the scarcest of seeds and episodes.

A scheduler that was trained with one seed has an interval over episodes alone: it is about that policy,
not about the way it was trained. Tests measure how often each kind holds the true value: at least 93 % for
normal and 90 % for skewed values. Fewer than 8 values that fall into two lumps are covered less, by
76 to 93 %.

The interquartile mean is robust against outliers and wastes less of the data than the median (Agarwal et
al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice", NeurIPS 2021,
arXiv:2108.13264). The numbers are scipy's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from snakegym.training.analysis.spread import Floats, Indices, binomial, bootstrapped, half_width

LEVEL = 0.95
ENOUGH = 8
"""Values from which on the bootstrap holds what it says, and a difference is marked as one."""

Kind = Literal["bootstrap", "t", "binomial"]


@dataclass(frozen=True)
class Estimate:
    """A value with its interval; an interval needs two episodes or two training seeds at least."""

    value: float
    low: float | None = None
    high: float | None = None
    kind: Kind | None = None
    """How the interval was made; None if there is none."""
    units: int = 1
    """Independent values that it rests on: the scarcest of training seeds (if something was trained) and
    episodes."""

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    @property
    def is_clear(self) -> bool:
        """Whether it may be called a difference: the interval excludes 0 and rests on 8 values or more."""
        return self.excludes_zero and self.units >= ENOUGH


@dataclass(frozen=True)
class Band:
    """A curve with its pointwise binomial interval, arrays of one length; no interval, no arrays."""

    value: Floats
    low: Floats | None
    high: Floats | None


def describe(estimates: Iterable[Estimate]) -> str:
    """What kind of intervals these are, in words for a caption."""
    kinds = {e.kind for e in estimates}
    if "t" not in kinds:
        return "95 % percentile-bootstrap interval" if "bootstrap" in kinds else "no interval: one value each"
    few = f"fewer than {ENOUGH} episodes or training seeds"
    if "bootstrap" not in kinds:
        return f"95 % interval by Student's t (t: {few})"
    return f"95 % percentile-bootstrap interval; those marked t by Student's t ({few})"


def iqm(values: Floats, axis: int = -1) -> Floats:
    """Mean of the middle half along `axis` (a quarter is cut off at each end); within the values."""
    # A mean of equal values is rounded: without the bounds it lies beside them, and intervals cross over.
    result: Floats = np.clip(stats.trim_mean(values, 0.25, axis=axis), values.min(axis), values.max(axis))
    return result


def estimate(values: ArrayLike, *, trained: bool = False, level: float = LEVEL) -> Estimate:
    """Interquartile mean and its interval.

    The resampling is seeded afresh for each call, so the same values give the same interval.

    Args:
        values: one per episode, or a table [training seeds, episodes]; one at least, finite.
        trained: whether a single row is one training seed of several that there could be.
        level: confidence, in (0, 1).

    Raises:
        ValueError: no values, or not all finite.
    """
    table = _table(values)
    return _interquartile(table[:, None, :], _units(table, trained), level)


def mean(values: ArrayLike) -> Estimate:
    """Mean of independent values and its interval by Student's t, however many there are."""
    own = _table(values).ravel()
    return _around(float(own.mean()), own, len(own), LEVEL)


def mean_and_half(values: ArrayLike, factor: float = 1.0, digits: int = 1, sign: str = "") -> str:
    """As pages print it: mean ± half width of its interval by Student's t; of one value, the value."""
    e = mean(values)
    text = f"{factor * e.value:{sign}.{digits}f}"
    return text if e.high is None else f"{text} ± {factor * (e.high - e.value):.{digits}f}"


def ratio_of_means(values: ArrayLike, baseline: ArrayLike) -> Estimate:
    """Mean of values as a share of the mean of a baseline, both of the same independent units in order.

    Student's t of what the values deviate from that share of their baseline (linearised; Cochran,
    "Sampling Techniques", section 6.4).
    """
    own, other = _table(values).ravel(), _table(baseline).ravel()
    ratio = own.mean() / other.mean()
    return _around(float(ratio), (own - ratio * other) / other.mean(), len(own), LEVEL)


def paired_difference(
    values: ArrayLike, baseline: ArrayLike, *, trained: bool = False, baseline_trained: bool = False
) -> Estimate:
    """Estimate of the difference episode by episode: what the episodes have in common cancels.

    Args:
        values: one per episode, or a table [training seeds, episodes].
        baseline: of the same episodes in the same order; its training seeds, if any, are averaged.
        trained: as in `estimate`.
        baseline_trained: the same of the baseline.
    """
    own, other = _table(values), _table(baseline)
    units = min(_units(own, trained), _units(other, baseline_trained))
    return _interquartile(own[:, None, :] - other[None, :, :], units, LEVEL)


def probability_of_improvement(
    values: ArrayLike, baseline: ArrayLike, *, trained: bool = False, baseline_trained: bool = False
) -> Estimate:
    """Probability that a value is above the baseline's on the same episode; ties count half.

    The Mann-Whitney U statistic of the training seeds, as a share, averaged over the episodes
    (Agarwal et al., section 4.3, with episodes for tasks). Arguments as `paired_difference`.
    """
    own, other = _table(values), _table(baseline)
    wins = (np.sign(own[:, None, :] - other[None, :, :]) + 1) / 2
    units = min(_units(own, trained), _units(other, baseline_trained))
    return _point(Band(*binomial(wins[None], LEVEL)), units)


def profile(values: ArrayLike, thresholds: ArrayLike) -> Band:
    """Share of the values that reach each threshold, with its band: a performance profile.

    Args:
        values: one per episode, or a table [training seeds, episodes]; minus infinity never
            reaches anything.
        thresholds: [points].
    """
    table = np.atleast_2d(np.asarray(values, dtype=np.float64))
    reached = table >= np.asarray(thresholds, dtype=np.float64)[:, None, None]
    return Band(*binomial(reached.astype(np.float64), LEVEL))


def normalised(
    values: ArrayLike, zero: ArrayLike, one: ArrayLike, *, trained: bool = False, level: float = LEVEL
) -> Estimate | None:
    """Where values lie between two references, 0 and 1: a ratio of interquartile means of paired differences.

    How well the references are known is part of the interval: the same drawn episodes count for all three.

    Args:
        values: one per episode, or a table [training seeds, episodes].
        zero: the lower reference on the same episodes; training seeds, if any, are averaged.
        one: the upper one.
        trained: as in `estimate`.
        level: confidence, in (0, 1).

    Returns:
        None where the upper reference is not above the lower one, or not told apart from it.
    """
    lower = _table(zero).mean(axis=0)
    own, gap = _table(values) - lower, _table(one).mean(axis=0) - lower
    scale = estimate(gap, level=level)
    if scale.value <= 0 or (scale.low is not None and scale.low <= 0):
        return None
    value, units = float(iqm(own.ravel())) / scale.value, _units(own, trained)
    if min((size for size in own.shape if size > 1), default=0) < ENOUGH:
        return _around(value, (own - value * gap) / scale.value, units, level)

    def statistic(seeds: Indices, episodes: Indices) -> Floats:
        drawn = own[seeds[..., :, None], episodes[..., None, :]]
        below = iqm(gap[episodes])
        # Beyond the interval of the scale, which lies above 0, anything may be drawn: at the very end.
        quotient: Floats = iqm(drawn.reshape(*drawn.shape[:-2], -1)) / np.maximum(below, 1e-9 * scale.value)
        return quotient

    return Estimate(value, *bootstrapped(own.shape, statistic, level), "bootstrap", units)


def share(values: ArrayLike, threshold: float, *, trained: bool = False) -> Estimate:
    """One point of a `profile`; `trained` as in `estimate`."""
    return _point(profile(values, [threshold]), _units(np.atleast_2d(np.asarray(values)), trained))


def _table(values: ArrayLike) -> Floats:
    table = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if table.size == 0 or not np.isfinite(table).all():
        raise ValueError(f"expected finite values, one at least, found {values!r}")
    return table


def _units(table: NDArray[np.generic], trained: bool) -> int:
    seeds, episodes = (int(size) for size in table.shape)
    return min(seeds, episodes) if trained or seeds > 1 else episodes


def _point(band: Band, units: int) -> Estimate:
    if band.low is None or band.high is None:
        return Estimate(float(band.value[0]), units=units)
    return Estimate(float(band.value[0]), float(band.low[0]), float(band.high[0]), "binomial", units)


def _interquartile(table: Floats, units: int, level: float) -> Estimate:
    """Of a table [own seeds, baseline's seeds, episodes]: the baseline's seeds are averaged first."""

    def statistic(own: Indices, other: Indices, episodes: Indices) -> Floats:
        drawn = table[own[..., :, None, None], other[..., None, :, None], episodes[..., None, None, :]]
        values = drawn.mean(axis=-2)
        return iqm(values.reshape(*values.shape[:-2], -1))

    value = float(statistic(*(np.arange(size) for size in table.shape)))
    if min((size for size in table.shape if size > 1), default=0) < ENOUGH:
        return _around(value, table, units, level)
    # A percentile between two equal values is rounded, too.
    low, high = np.clip(bootstrapped(table.shape, statistic, level), table.min(), table.max())
    return Estimate(value, float(low), float(high), "bootstrap", units)


def _around(value: float, table: Floats, units: int, level: float) -> Estimate:
    """A value with the interval by Student's t of a mean of such a table [one axis a factor]."""
    half = half_width(table, level)
    if half is None:
        return Estimate(value, units=units)
    return Estimate(value, value - half, value + half, "t", units)
