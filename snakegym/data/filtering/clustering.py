"""The data module's clustering: a node groups its samples and sets aside those that fit in nowhere.

The paper (Snake Learning, DOI 10.1109/MCOM.005.2400282) names clustering as a way for a node to find which
of its samples are alike and to isolate those that are inconsistent with the rest. Here a node groups them by
k-means, looking at inputs alone, and asks of each sample whether its label is at home in its group.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from snakegym.scenario import ClusteringConfig

LEAST_MEMBERS = 4
"""Samples that a group should have on average: of smaller ones nothing can be said."""

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


def at_home(inputs: npt.NDArray[Any], labels: Ints, own: Ints, config: ClusteringConfig, seed: int) -> Ints:
    """A node's samples without those that are set aside.

    Args:
        inputs: of all samples, as `foreign` takes them.
        labels: of all samples.
        own: int64 [n], rising: which samples the node has; n >= 1.
        config: how many groups, and how rare a label may be in one.
        seed: of k-means.

    Returns:
        int64 [1..n], rising.
    """
    clusters = min(config.clusters, len(own) // LEAST_MEMBERS)
    if clusters < 2:
        return own
    return own[~foreign(inputs[own], labels[own], clusters, config.least, seed)]


def foreign(inputs: npt.NDArray[Any], labels: Ints, clusters: int, least: float, seed: int) -> Bools:
    """Which samples have a label that is rare in their group, bool [n].

    The commonest label of a group is at home in it, however many others there are.

    Args:
        inputs: floats [n, ...], compared as they are, or tokens int [n, length], compared by how often each
            occurs, weighted by how few samples have it (TF-IDF).
        labels: int [n], at least 0; of texts their topics.
        clusters: groups, 2 to n.
        least: share of a group's samples below which a label is rare, in (0, 1).
        seed: of k-means.
    """
    from sklearn.cluster import KMeans  # slow to import, and rarely wanted

    features = _words(inputs) if inputs.dtype.kind in "iu" else inputs.reshape(len(inputs), -1)
    groups = KMeans(clusters, n_init=4, random_state=seed).fit_predict(features)
    counts = np.zeros((clusters, int(labels.max()) + 1))
    np.add.at(counts, (groups, labels), 1)
    rare = counts < least * counts.sum(axis=1, keepdims=True)
    rare[np.arange(clusters), counts.argmax(axis=1)] = False
    odd: Bools = rare[groups, labels]
    return odd


def _words(tokens: npt.NDArray[Any]) -> Any:
    """TF-IDF of tokens, sparse [n, largest token + 1], rows of length 1."""
    from scipy.sparse import coo_array
    from sklearn.feature_extraction.text import TfidfTransformer

    rows = np.repeat(np.arange(len(tokens), dtype=np.int32), tokens.shape[1])  # k-means takes no larger ones
    places = rows, tokens.ravel().astype(np.int32)
    counts = coo_array((np.ones(tokens.size), places), shape=(len(tokens), int(tokens.max()) + 1)).tocsr()
    return TfidfTransformer(sublinear_tf=True).fit_transform(counts)
