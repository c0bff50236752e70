"""When the nodes distil, and what it costs them."""

from __future__ import annotations

import numpy as np

from snakegym.arrays import read_only
from snakegym.control.holdings import NodeData, RecentLabels
from snakegym.control.view import Bools, Floats
from snakegym.models.profile import ModelProfile
from snakegym.network.costs import soft_target_bytes
from snakegym.scenario import LearningConfig


class Teaching:
    """Switches distillation on where a node's labels diverge from those trained recently.

    The teacher is the model as received and speaks before the first batch, so it needs no room for
    weights of its own; what it said is kept for the whole hop.

    Args:
        learning: says threshold and measure, and whether every epoch needs outputs of its own.
        profile: FLOPs of a forward pass.
        data: what the nodes hold.

    Attributes:
        on: [n_nodes]: whether a hop would distil.
        flops: [n_nodes]: of the teacher; 0 where the node would not distil.
        n_bytes: [n_nodes]: of what the teacher said, likewise.
    """

    on: Bools
    flops: Floats
    n_bytes: Floats

    def __init__(self, learning: LearningConfig, profile: ModelProfile, data: NodeData) -> None:
        passes, n = learning.teacher_passes, data.samples.astype(np.float64)
        self._flops = n * profile.teacher_flops(passes)
        self._n_bytes = n * soft_target_bytes(data.labels.shape[1], passes)
        self._config = learning.distillation
        self._switch(np.zeros(len(n), dtype=np.bool_))

    def compare(self, labels: RecentLabels) -> bool:
        """Decide for every node, given the labels trained recently; whether anything may have changed."""
        config = self._config
        if config is None or config.weight == 0:
            return False
        js = config.measure == "js"
        divergence = labels.divergence if js else labels.rows.kl_divergence(labels.mean)
        self._switch(divergence >= config.threshold)
        return True

    def _switch(self, on: Bools) -> None:
        self.on = read_only(on)
        self.flops, self.n_bytes = read_only(self._flops * on), read_only(self._n_bytes * on)
