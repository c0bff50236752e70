"""What the nodes hold: their samples, and how their labels compare with those trained recently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snakegym.arrays import read_only
from snakegym.control.view import Floats, Ints
from snakegym.data.datasets import Dataset
from snakegym.data.divergence import LabelRows

LABEL_MEMORY = 0.7
"""Weight of the past in the running mean of the labels trained, after a whole hop."""


@dataclass(frozen=True)
class Holdings:
    """What the nodes say of their samples, which never leave them. Immutable: copies share it."""

    samples: Ints
    """[n_nodes], read-only: how many each node holds, at least one."""
    labels: Floats
    """[n_nodes, n_classes], read-only: share of each label, rows sum to 1."""
    n_validation: int
    """Validation samples that every node was given when it enrolled, to evaluate on."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Holdings:
        return self


@dataclass(frozen=True)
class NodeData(Holdings):
    """In a simulation also the samples themselves."""

    train: Dataset
    indices: tuple[Tensor, ...]
    """Per node int64 [n_samples], into `train`."""

    def __deepcopy__(self, memo: dict[int, Any]) -> NodeData:
        return self


def node_data(train: Dataset, indices: list[NDArray[np.int64]], n_validation: int) -> NodeData:
    """The nodes' data from a partition of `train` (every node at least one sample)."""
    labels = train.labels.numpy()
    counts = np.stack([np.bincount(labels[i], minlength=train.n_classes) for i in indices])
    shares = read_only(counts / counts.sum(axis=1, keepdims=True))
    samples = read_only(np.array([len(i) for i in indices]))
    return NodeData(samples, shares, n_validation, train, tuple(torch.from_numpy(i) for i in indices))


class RecentLabels:
    """The labels trained recently, as a running mean that starts at the mean over all samples.

    Attributes:
        mean: [n_classes], read-only, sums to 1.
        rows: the nodes' own labels, to compare with it.
        divergence: [n_nodes], read-only: Jensen-Shannon distance of each node's labels from the mean.
    """

    def __init__(self, data: Holdings) -> None:
        self._data = data
        self.rows = LabelRows(data.labels)
        self.set_mean(np.average(data.labels, axis=0, weights=data.samples))

    def set_mean(self, mean: Floats) -> None:
        """Go on from that running mean [n_classes]."""
        self.mean = read_only(mean)
        self.divergence = read_only(self.rows.js_distance(mean))

    def after(self, nodes: Sequence[int], used: Sequence[float]) -> Floats:
        """The mean [n_classes] once these nodes have trained on that share [0, 1] of their samples."""
        whole = self._data.samples[nodes]
        samples = whole * used
        weight = (1 - LABEL_MEMORY) * (samples.sum() / whole.sum())
        trained = (samples / samples.sum()) @ self._data.labels[nodes]
        mean: Floats = (1 - weight) * self.mean + weight * trained
        return mean
