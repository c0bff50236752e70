"""How far the mean of a table may be off: by Student's t, exactly binomial, and by the bootstrap.

A table has an axis for each thing that varies by itself, such as training seeds and episodes; a value is the
mean over all of them. When which is used, and sources: `snakegym.training.analysis.intervals`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

RESAMPLES = 10_000
BATCH = 2_000_000
"""Numbers that a batch of resamples may hold at once."""

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


def half_width(table: Floats, level: float) -> float | None:
    """Of the interval by Student's t of the mean of a table [one axis a factor]; None if nothing varies."""
    errors = _errors(table[None])
    if not errors:
        return None
    widened = [stats.t.ppf((1 + level) / 2, size - 1) * error[0] for size, error in errors]
    return float(np.hypot.reduce(widened))


def binomial(table: Floats, level: float) -> tuple[Floats, Floats, Floats] | tuple[Floats, None, None]:
    """Shares [points] of tables of numbers in [0, 1] [points, one axis a factor]; their bounds, if any."""
    value: Floats = table.mean(axis=tuple(range(1, table.ndim)))
    errors = _errors(table)
    if not errors:
        return value, None, None
    scarcest, total = min(size for size, _ in errors), int(np.prod(table.shape[1:]))
    variance = np.sum([error**2 for _, error in errors], axis=0)
    widening = (stats.t.ppf(0.5 + level / 2, scarcest - 1) / stats.t.ppf(0.5 + level / 2, total - 1)) ** 2
    ideal = value * (1 - value)
    # Where all agree, nothing says how the scarcest would vary: it counts alone.
    n = np.divide(ideal, variance * widening, out=np.full_like(value, scarcest), where=variance > 0)
    n = np.clip(n, scarcest, total)
    hits, tail = value * n, (1 - level) / 2
    low = np.where(value > 0, stats.beta.ppf(tail, hits, n - hits + 1), 0.0)
    high = np.where(value < 1, stats.beta.ppf(1 - tail, hits + 1, n - hits), 1.0)
    return value, low, high


def bootstrapped(sizes: Sequence[int], statistic: Callable[..., Floats], level: float) -> tuple[float, float]:
    """Expanded percentiles of a statistic of one array of indices [..., size] a factor; some vary."""
    everything = [np.arange(size) for size in sizes]
    varying = [i for i, size in enumerate(sizes) if size > 1]
    n = min(sizes[i] for i in varying)
    reach = (n / (n - 1)) ** 0.5 * stats.t.ppf((1 + level) / 2, n - 1)

    def of_drawn(*drawn: Indices, axis: int) -> Floats:
        indices = list(everything)
        for i, array in zip(varying, drawn, strict=True):
            indices[i] = array
        return statistic(*indices)

    interval = stats.bootstrap(
        [everything[i] for i in varying],
        of_drawn,
        n_resamples=RESAMPLES,
        batch=max(1, BATCH // int(np.prod(sizes))),
        confidence_level=1 - 2 * stats.norm.sf(reach),
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def _errors(table: Floats) -> list[tuple[int, Floats]]:
    """Of means of tables [points, one axis a factor]: size and standard errors [points] of what varies."""
    factors = range(1, table.ndim)
    found = []
    for axis in factors:
        size = table.shape[axis]
        if size > 1:
            means = table.mean(axis=tuple(other for other in factors if other != axis))
            found.append((size, means.std(axis=1, ddof=1) / size**0.5))
    return found
