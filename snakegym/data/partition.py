"""Spreading the train part over the nodes: every sample on exactly one node, no node without any."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from snakegym.data.datasets import Dataset
from snakegym.data.filtering.clustering import at_home
from snakegym.errors import SnakegymError
from snakegym.scenario import DataConfig

Indices = npt.NDArray[np.int64]


def partition(
    config: DataConfig, targets: npt.ArrayLike, n_nodes: int, n_classes: int, rng: np.random.Generator
) -> list[Indices]:
    """Sorted sample indices of each node.

    `iid` deals shuffled samples out evenly. `dirichlet` draws for every class the shares of the
    nodes from a symmetric Dir(alpha) and cuts the shuffled class accordingly (Yurochkin et al.
    2019, arXiv:1905.12022), so both the label mix and the number of samples differ between nodes.
    It is the usual variant of Hsu et al. 2019 (arXiv:1909.06335), who draw the shares of the
    classes for every node instead: that keeps nodes equally large, and cannot place every sample
    exactly once. `quantity` draws the nodes' shares of all shuffled samples from Dir(alpha), so
    that sizes differ and label mixes do not (Li et al. 2021, arXiv:2102.02079). Nodes left empty
    get one sample each from the node that then has most.

    Args:
        config: `partition` and `alpha` are read.
        targets: int [n_samples] labels in [0, n_classes).
        n_nodes: at least 1, at most n_samples.
        n_classes: number of labels.
        rng: the only source of randomness.

    Raises:
        SnakegymError: more nodes than samples.
    """
    labels = np.asarray(targets)
    if n_nodes > len(labels):
        raise SnakegymError(
            f"field 'network.nodes': found {n_nodes} nodes, expected at most one a sample ({len(labels)})"
        )
    if config.partition == "iid":
        nodes = np.array_split(rng.permutation(len(labels)), n_nodes)
    elif config.partition == "quantity":
        cuts = _cuts(_shares(config.alpha, n_nodes, rng), len(labels))
        nodes = _fill_empty(np.split(rng.permutation(len(labels)), cuts))
    else:
        nodes = _fill_empty(_dirichlet(config.alpha, labels, n_nodes, n_classes, rng))
    return [np.sort(node).astype(np.int64) for node in nodes]


def spread(config: DataConfig, train: Dataset, n_nodes: int, rng: np.random.Generator) -> list[Indices]:
    """Sorted sample indices of each node, by `partition`, without those that it sets aside (`clustering`).

    Args:
        config: says how.
        train: what is spread.
        n_nodes: at least 1.
        rng: the only source of randomness.

    Raises:
        SnakegymError: more nodes than samples.
    """
    inputs, labels = train.inputs.numpy(), train.labels.numpy()
    nodes = partition(config, labels, n_nodes, train.n_classes, rng)
    if config.clustering is None:
        return nodes
    seed = int(rng.integers(2**31))
    return [at_home(inputs, labels, own, config.clustering, seed) for own in nodes]


def label_counts(indices: Sequence[npt.ArrayLike], targets: npt.ArrayLike, n_classes: int) -> Indices:
    """Samples of each class on each node, int64 [n_nodes, n_classes]."""
    labels = np.asarray(targets)
    return np.stack([np.bincount(labels[np.asarray(node)], minlength=n_classes) for node in indices])


def _dirichlet(
    alpha: float, labels: npt.NDArray[np.int64], n_nodes: int, n_classes: int, rng: np.random.Generator
) -> list[Indices]:
    shares = _shares(alpha, n_nodes, rng, n_classes)
    owner = np.empty(len(labels), dtype=np.int64)
    for label in range(n_classes):
        members = rng.permutation(np.flatnonzero(labels == label))
        cuts = _cuts(shares[label], len(members))
        owner[members] = np.searchsorted(cuts, np.arange(len(members)), side="right")
    return [np.flatnonzero(owner == node) for node in range(n_nodes)]


def _shares(
    alpha: float, n_nodes: int, rng: np.random.Generator, n: int | None = None
) -> npt.NDArray[np.float64]:
    """[n_nodes], or [n, n_nodes]: drawn from a symmetric Dir(alpha)."""
    # Beyond a million the shares are even to a thousandth, and the sum of gammas could overflow.
    return rng.dirichlet(np.full(n_nodes, min(alpha, 1e6)), size=n)


def _cuts(shares: npt.NDArray[np.float64], n: int) -> Indices:
    """Where to cut n samples so that the pieces have these shares."""
    return np.rint(np.cumsum(shares)[:-1] * n).astype(np.int64)


def _fill_empty(nodes: list[Indices]) -> list[Indices]:
    for empty in [i for i, node in enumerate(nodes) if len(node) == 0]:
        largest = max(range(len(nodes)), key=lambda i: len(nodes[i]))
        nodes[empty], nodes[largest] = nodes[largest][-1:], nodes[largest][:-1]
    return nodes
