"""When the nodes distil, and what it costs them."""

from __future__ import annotations

import numpy as np

from snakegym.control.view import Bools, Floats, Ints
from snakegym.data.divergence import divergence
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
        labels: [n_nodes, n_classes] share of each label on each node.
        samples: [n_nodes].
    """

    def __init__(
        self, learning: LearningConfig, profile: ModelProfile, labels: Floats, samples: Ints
    ) -> None:
        passes, n = learning.teacher_passes, samples.astype(np.float64)
        self.flops: Floats = n * profile.teacher_flops(passes)
        """[n_nodes]: of the teacher, where a node distils."""
        self.n_bytes: Floats = n * soft_target_bytes(labels.shape[1], passes)
        """[n_nodes]: of what the teacher said, likewise."""
        self.on: Bools = np.zeros(len(samples), dtype=np.bool_)
        """[n_nodes]: whether a hop would distil."""
        self._config = learning.distillation
        self._labels = labels

    def compare(self, recent_labels: Floats) -> None:
        """Decide for every node, given the labels trained recently, [n_classes]."""
        config = self._config
        if config is not None and config.weight > 0:
            self.on = divergence(config.measure, self._labels, recent_labels) >= config.threshold
