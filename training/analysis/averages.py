"""Means of independent estimates, whose intervals follow from theirs.

The variances that the intervals stand for add up, on each side by itself (Zou and Donner, "Construction of
confidence limits about effect measures", Statistics in Medicine 2008).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snakegym.training.analysis.intervals import Band, Estimate, Kind
from snakegym.training.analysis.spread import Floats


def average(estimates: Sequence[Estimate]) -> Estimate:
    """Mean of independent estimates; no interval where one of them has none."""
    value = float(np.mean([e.value for e in estimates]))
    units = min(e.units for e in estimates)
    bounds = [
        (e.value - e.low, e.high - e.value) for e in estimates if e.low is not None and e.high is not None
    ]
    if len(bounds) < len(estimates):
        return Estimate(value, units=units)
    below, above = np.hypot.reduce(np.maximum(bounds, 0)) / len(estimates)
    kinds = {e.kind for e in estimates}
    kind: Kind | None = "t" if "t" in kinds else estimates[0].kind
    return Estimate(value, value - float(below), value + float(above), kind, units)


def average_bands(bands: Sequence[Band]) -> Band:
    """The same of curves at the same points."""
    value: Floats = np.mean([b.value for b in bands], axis=0)
    known = [(b.value - b.low, b.high - b.value) for b in bands if b.low is not None and b.high is not None]
    if len(known) < len(bands):
        return Band(value, None, None)
    below, above = np.hypot.reduce(np.maximum(known, 0)) / len(bands)
    return Band(value, value - below, value + above)
