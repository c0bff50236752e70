"""How far label distributions are apart."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_TINY = np.finfo(np.float64).tiny
"""Stands for a share of 0 where one divides by it, or takes its logarithm."""


class LabelRows:
    """Label distributions that are compared with one reference after the other.

    Args:
        rows: [n_rows, n_classes] counts or probabilities, >= 0; normalised here. Where a row or the
            reference has no mass, nothing is known about it and the distance is 0.
    """

    def __init__(self, rows: npt.ArrayLike) -> None:
        self._p, self._known = _normalised(rows)
        self._entropy = _entropy(self._p)

    def divergence(self, measure: Literal["js", "kl"], reference: npt.ArrayLike) -> Floats:
        """`js_distance` or `kl_divergence` from the reference."""
        return (self.js_distance if measure == "js" else self.kl_divergence)(reference)

    def js_distance(self, reference: npt.ArrayLike) -> Floats:
        """[n_rows]: see the function of that name."""
        q, known = _shares(reference)
        divergence = _entropy((self._p + q) / 2) - (self._entropy + _entropy(q)) / 2
        inside = np.minimum(np.maximum(divergence, 0.0), 1.0)  # rounding
        distance: Floats = np.sqrt(inside) * (known * self._known)
        return distance

    def kl_divergence(self, reference: npt.ArrayLike) -> Floats:
        """[n_rows]: see the function of that name."""
        q, known = _shares(reference)
        entropy = np.maximum(_relative_entropy(self._p, q), 0.0)
        impossible = ((self._p > 0) & (q == 0)).any(-1)
        total: Floats = np.where(known * self._known > 0, np.where(impossible, np.inf, entropy), 0.0)
        return total


def js_distance(rows: npt.ArrayLike, reference: npt.ArrayLike) -> Floats:
    """Jensen-Shannon distance of each row to the reference, float64 [n_rows] in [0, 1].

    The square root of the Jensen-Shannon divergence with base-2 logarithm (Endres and Schindelin
    2003, DOI 10.1109/TIT.2003.813506): 0 for equal distributions, 1 for disjoint ones.

    Args:
        rows: [n_rows, n_classes], as in `LabelRows`.
        reference: [n_classes] likewise.
    """
    return LabelRows(rows).js_distance(reference)


def js_distances(rows: npt.ArrayLike, references: npt.ArrayLike) -> Floats:
    """`js_distance` of each row to each reference, float64 [n_references, n_rows].

    Args:
        rows: [n_rows, n_classes], as in `LabelRows`.
        references: [n_references, n_classes] likewise.
    """
    (p, known), (q, known_too) = _normalised(rows), _normalised(references)
    divergence = _entropy((p + q[:, None]) / 2) - (_entropy(p) + _entropy(q)[:, None]) / 2
    inside = np.minimum(np.maximum(divergence, 0.0), 1.0)  # rounding
    distance: Floats = np.sqrt(inside) * (known * known_too[:, None])
    return distance


def kl_divergence(rows: npt.ArrayLike, reference: npt.ArrayLike) -> Floats:
    """Kullback-Leibler divergence of each row from the reference, in bits, float64 [n_rows] in [0, inf].

    The sum of p log2(p / q) (Kullback and Leibler 1951, DOI 10.1214/aoms/1177729694): 0 for equal
    distributions, infinite where the row has a class that the reference lacks.

    Args:
        rows: [n_rows, n_classes], as in `LabelRows`.
        reference: [n_classes] likewise.
    """
    return LabelRows(rows).kl_divergence(reference)


def divergence(measure: Literal["js", "kl"], rows: npt.ArrayLike, reference: npt.ArrayLike) -> Floats:
    """`js_distance` or `kl_divergence` of each row from the reference, float64 [n_rows]."""
    return LabelRows(rows).divergence(measure, reference)


def _normalised(rows: npt.ArrayLike) -> tuple[Floats, Floats]:
    """The rows [n, n_classes] normalised, and for each 1, or 0 where it has no mass."""
    masses = np.asarray(rows, dtype=np.float64)
    total = masses.sum(-1, keepdims=True)
    return masses / np.where(total > 0, total, 1.0), (total[..., 0] > 0).astype(np.float64)


def _shares(reference: npt.ArrayLike) -> tuple[Floats, float]:
    """The reference [n_classes] normalised; and 1, or 0 where it has no mass."""
    masses = np.asarray(reference, dtype=np.float64)
    total = float(np.add.reduce(masses))
    return (masses / total, 1.0) if total > 0 else (masses, 0.0)


def _entropy(p: Floats) -> Floats:
    """In bits, along the last axis."""
    total: Floats = np.add.reduce(p * np.log2(np.maximum(p, _TINY)), axis=-1)
    return -total


def _relative_entropy(p: Floats, q: Floats) -> Floats:
    """Sum of p log2(p / q) along the last axis; terms with p = 0 are 0, those with p > 0 want q > 0."""
    ratio = np.maximum(p / np.maximum(q, _TINY), _TINY)
    np.log2(ratio, out=ratio)
    ratio *= p
    total: Floats = np.add.reduce(ratio, axis=-1)
    return total
