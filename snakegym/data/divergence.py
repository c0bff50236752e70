"""How far label distributions are apart."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt


def divergence(
    measure: Literal["js", "kl"], rows: npt.ArrayLike, reference: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """`js_distance` or `kl_divergence` of each row from the reference, float64 [n_rows]."""
    return (js_distance if measure == "js" else kl_divergence)(rows, reference)


def js_distance(rows: npt.ArrayLike, reference: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Jensen-Shannon distance of each row to the reference, float64 [n_rows] in [0, 1].

    The square root of the Jensen-Shannon divergence with base-2 logarithm (Endres and Schindelin
    2003, DOI 10.1109/TIT.2003.813506): 0 for equal distributions, 1 for disjoint ones.

    Args:
        rows: [n_rows, n_classes] counts or probabilities, >= 0; normalised here.
        reference: [n_classes] likewise. Where a row or the reference has no mass, nothing is
            known about it and the distance is 0.
    """
    p, q, known = _distributions(rows, reference)
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    distance: npt.NDArray[np.float64] = np.sqrt(np.clip(divergence, 0, 1)) * known  # clip: rounding
    return distance


def kl_divergence(rows: npt.ArrayLike, reference: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Kullback-Leibler divergence of each row from the reference, in bits, float64 [n_rows] in [0, inf].

    The sum of p log2(p / q) (Kullback and Leibler 1951, DOI 10.1214/aoms/1177729694): 0 for equal
    distributions, infinite where the row has a class that the reference lacks.

    Args:
        rows: [n_rows, n_classes] as in `js_distance`, and likewise 0 where nothing is known.
        reference: [n_classes] likewise.
    """
    p, q, known = _distributions(rows, reference)
    total: npt.NDArray[np.float64] = np.where(known, np.maximum(_relative_entropy(p, q), 0), 0.0)
    return total


def _distributions(
    rows: npt.ArrayLike, reference: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Both normalised, with the shape of the rows, and whether both have any mass."""
    p = np.asarray(rows, dtype=np.float64)
    q = np.broadcast_to(np.asarray(reference, dtype=np.float64), p.shape)
    mass_p, mass_q = p.sum(-1, keepdims=True), q.sum(-1, keepdims=True)
    known = ((mass_p > 0) & (mass_q > 0))[..., 0]
    return p / np.where(mass_p > 0, mass_p, 1), q / np.where(mass_q > 0, mass_q, 1), known


def _relative_entropy(p: npt.NDArray[np.float64], q: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Kullback-Leibler divergence in bits along the last axis; terms with p = 0 are 0."""
    with np.errstate(divide="ignore"):
        ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    total: npt.NDArray[np.float64] = (p * np.log2(ratio)).sum(-1)
    return total
