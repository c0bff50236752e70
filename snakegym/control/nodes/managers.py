"""What the nodes say of themselves: their Local Managers, all together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snakegym.arrays import read_only
from snakegym.control.nodes.adapting import look_at_adapters
from snakegym.control.nodes.holdings import Holdings, RecentLabels
from snakegym.control.records import Part
from snakegym.control.view import Bools, Floats
from snakegym.learning.jobs import TrainingOrder
from snakegym.models.profile import ModelProfile
from snakegym.network.costs import soft_target_bytes
from snakegym.network.network import Monitor
from snakegym.scenario import LearningConfig, Scenario


class LocalManagers:
    """The LMs of all nodes: how many samples they hold, what they have room for, and whether they distil.

    Args:
        scenario: mode and rules of local training.
        profile: of the model.
        network: the nodes.
        data: what is known of the samples.

    Attributes:
        labels: the labels trained recently, and how far each node's are from them.
        teaching: which nodes distil, and what that adds.
        adapters: of which rank a node would train them, and their costs; None: hops train whole layers.
        offered: the same of each rank that schedulers choose among.
        layer_memory: [n_middle] bytes that a hop needs if it does not distil; with adapters, mean over nodes.
        layer_flops: [n_middle] to train one sample, likewise.
        kept_bytes: [n_middle] that each of a node's samples adds to that.
        beside: bytes of earlier hops' adapters, which every node keeps; whoever sets it goes on from there.
        fits: [n_nodes, n_middle]: whether the node has the memory for a hop on that layer.
        fits_at: the same with each of these ranks.
    """

    fits: Bools
    fits_at: dict[int, Bools]

    def __init__(self, scenario: Scenario, profile: ModelProfile, network: Monitor, data: Holdings) -> None:
        self.data = data
        self.labels = RecentLabels(data)
        self.teaching = Teaching(scenario.learning, profile, data)
        learning = scenario.learning
        self.adapters, self.offered = look_at_adapters(scenario, profile, network, data)
        if self.adapters is None:
            originals = scenario.network.mode == "p2p"
            memory = profile.hop_memory(learning, originals=originals)
            flops = profile.hop_flops(learning)
        else:
            memory, flops = (a.mean(axis=0) for a in (self.adapters.memory_bytes, self.adapters.flops))
        self.layer_memory, self.layer_flops = read_only(memory), read_only(flops)
        own = self.layer_memory[None] if self.adapters is None else self.adapters.memory_bytes
        self.kept_bytes, self.beside = read_only(profile.kept_bytes(learning)), 0.0
        kept = data.samples[:, None] * self.kept_bytes
        self._needed = own + kept
        self._needed_at = {rank: a.memory_bytes + kept for rank, a in self.offered.items()}
        self._learning = scenario.learning
        self._memory_bytes = network.memory_bytes
        self.go_on_from(self.labels.mean)

    @property
    def smallest_memory(self) -> float:
        """Bytes that the smallest hop needs on whichever node needs least."""
        return float(self._needed.min())

    @property
    def adapter_bytes(self) -> dict[int | None, Floats] | None:
        """[n_nodes, n_middle] by rank chosen, None: by the rule; None where hops train whole layers."""
        if self.adapters is None:
            return None
        return {None: self.adapters.n_bytes, **{rank: a.n_bytes for rank, a in self.offered.items()}}

    def go_on_from(self, labels: Floats) -> None:
        """The mean [n_classes] of the labels trained recently is this."""
        self.labels.set_mean(labels)
        self.teaching.compare(self.labels)
        self.fits = self._fitting(self._needed)
        self.fits_at = {rank: self._fitting(needed) for rank, needed in self._needed_at.items()}

    def _fitting(self, needed: Floats) -> Bools:
        fits: Bools = self._memory_bytes[:, None] >= needed + self.beside + self.teaching.n_bytes[:, None]
        return fits

    def remember(self, parts: Sequence[Part]) -> None:
        """These updates are in the model."""
        nodes = [part.node for part in parts]
        self.go_on_from(self.labels.after(nodes, [part.used for part in parts]))

    def training(
        self, node: int, middle: int, cycle: int, rng: np.random.Generator, rank: int | None = None
    ) -> TrainingOrder:
        """What the node would train: `rng` draws the seed; a `rank` that was chosen replaces the rule's."""
        if rank is None and self.adapters is not None:
            rank = int(self.adapters.ranks[node, middle])
        return TrainingOrder(
            middle=middle,
            samples=int(self.data.samples[node]),
            config=self._learning,
            learning_rate=self._learning.rate(cycle),
            seed=int(rng.integers(2**31)),
            rank=rank,
            distil=bool(self.teaching.on[node]),
        )


class Teaching:
    """Switches distillation on where a node's labels diverge from those trained recently.

    The teacher is the model as received and speaks before the first batch, so it needs no room for
    weights of its own; what it said is kept for the whole hop.

    Args:
        learning: says threshold and measure, and whether every epoch needs outputs of its own.
        profile: FLOPs of a forward pass, and bytes of its outputs.
        data: what the nodes hold.

    Attributes:
        on: [n_nodes]: whether a hop would distil.
        flops: [n_nodes]: of the teacher; 0 where the node would not distil.
        n_bytes: [n_nodes]: of what the teacher said, likewise.
    """

    on: Bools
    flops: Floats
    n_bytes: Floats

    def __init__(self, learning: LearningConfig, profile: ModelProfile, data: Holdings) -> None:
        passes, n = learning.teacher_passes, data.samples.astype(np.float64)
        self._flops = n * profile.teacher_flops(passes)
        self._n_bytes = n * soft_target_bytes(float(profile.output_bytes[-1]), passes)
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
