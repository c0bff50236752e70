"""How much of a reward's variance nodes, layers, their interaction and repetition make up.

The components of variance of the two-way crossed random model with replication,

    y[i, j, k] = mean + node[i] + layer[j] + both[i, j] + repetition[i, j, k],

by Henderson's method 3 (C. R. Henderson, *Estimation of variance and covariance components*, Biometrics 9,
1953, 226-252; S. R. Searle, G. Casella, C. E. McCulloch, *Variance Components*, Wiley 1992, section 5.5):
reductions in sums of squares by least squares, each set equal to its expected value. What the node adds to
the layers, what the layer adds to the nodes, and what both leave over are taken, so that cells may be
missing: an effect of the nodes alone is not taken for one of the layers because bad nodes have fewer of
them. With all cells there it is the usual analysis of variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Shares:
    """Parts of a variance; they sum to 1, or are all 0 where nothing varies."""

    node: float
    layer: float
    both: float
    """Of node and layer beyond their sum: which layer suits which node."""
    repetition: float
    variance: float
    """Of the reward of one hop, within a state: what the shares are of."""
    pairs: int
    """How many pairs of node and layer were measured."""


def decompose(tables: Sequence[Floats]) -> Shares:
    """Shares of the variance within tables, weighted by how many pairs each has.

    An estimate below zero counts as zero. What a table cannot tell (a single layer has no interaction, and
    with one node for each layer nobody knows whose effect it is) is missing from its variance.

    Args:
        tables: each [nodes, layers, repetitions >= 2]; NaN where a pair was not measured.
    """
    parts = [_components(table) for table in tables]
    pairs = [int(np.isfinite(table).all(axis=2).sum()) for table in tables]
    if not sum(pairs):
        return Shares(0.0, 0.0, 0.0, 0.0, 0.0, 0)
    means = np.maximum(np.average(parts, axis=0, weights=pairs), 0.0)
    total = float(means.sum())
    node, layer, both, repetition = (means / total if total > 0 else means).tolist()
    return Shares(node, layer, both, repetition, total, sum(pairs))


def _components(table: Floats) -> tuple[float, float, float, float]:
    """Estimated variances of node, layer, both and repetition; unbiased, hence now and then negative."""
    nodes, layers = np.nonzero(np.isfinite(table).all(axis=2))
    if not len(nodes):
        return (0.0, 0.0, 0.0, 0.0)
    values = table[nodes, layers]
    values -= values.mean()  # which no component depends on: spares digits
    means, noise = values.mean(axis=1), values.var(axis=1, ddof=1)
    by_node, by_layer = _indicators(nodes), _indicators(layers)
    additive = _projection(np.hstack([by_node, by_layer]))

    def reduction(space: Floats) -> float:
        """Sum of squares of the means in a space, less what repetition is expected to add to it."""
        return float(means @ space @ means - np.diag(space) @ noise / table.shape[2])

    rest = np.eye(len(means)) - additive
    both = _ratio(reduction(rest), np.trace(rest))
    found = []
    for own, other in ((by_node, by_layer), (by_layer, by_node)):
        space = additive - _projection(other)
        found.append(_ratio(reduction(space) - both * np.trace(space), np.trace(own.T @ space @ own)))
    return found[0], found[1], both, float(noise.mean())


def _indicators(labels: NDArray[np.intp]) -> Floats:
    """[n, groups]: which row belongs to which group."""
    matrix: Floats = (labels[:, None] == np.unique(labels)).astype(np.float64)
    return matrix


def _projection(design: Floats) -> Floats:
    """On the space that the columns span."""
    product: Floats = design @ np.linalg.pinv(design)
    return product


def _ratio(value: float, freedom: float) -> float:
    """0 where nothing is known: no degree of freedom is left but rounding."""
    return float(value / freedom) if freedom > 1e-6 else 0.0
