"""What frameworks that cut the model between client and server have in common."""

from __future__ import annotations

from abc import ABC

from snakegym.frameworks.base import Framework
from snakegym.frameworks.ledger import Ledger, batch_sizes
from snakegym.frameworks.problem import Problem
from snakegym.network import costs
from snakegym.network.records import PCE

CUT = 2
"""Layers of a client: the Snake Learning paper gives Accelerated FL two of VGG-11's."""


class CutFramework(Framework, ABC):
    """The first `cut` layers lie on the nodes, the others on the server.

    Args:
        problem: what to train on.
        cut: at least 1, less than the number of layers.
    """

    def __init__(self, problem: Problem, cut: int = CUT) -> None:
        super().__init__(problem)
        n, profile = problem.model.n_layers, problem.profile
        self.cut = cut
        self.parts = [range(cut), range(cut, n)]
        self.client_bytes = float(profile.n_bytes[:cut].sum())
        self.smashed = float(profile.output_bytes[cut - 1])
        forward = profile.forward_flops[:cut].tolist()
        self.forward_flops = sum(forward)
        self.backward_flops = costs.training_flops(forward, self.parts[0]) - self.forward_flops

    def node_memory(self) -> float:
        """That of training the client's layers."""
        profile, learning = self.problem.profile, self.problem.scenario.learning
        return costs.hop_memory(
            profile.n_bytes[: self.cut].tolist(),
            profile.activation_bytes[: self.cut].tolist(),
            self.parts[0],
            learning.batch_size,
            learning.optimizer,
            scratch_bytes=profile.scratch_bytes[: self.cut].max(),
        )

    def _converse(self, ledger: Ledger, node: int, at_s: float) -> float:
        """Local training with the server: per batch activations up and gradients down, then it is over.

        The node waits for the gradients of every batch: one synchronisation each.
        """
        learning, samples = self.problem.scenario.learning, self.problem.samples[node]
        for n in batch_sizes(samples, learning.batch_size, learning.epochs):
            at_s = ledger.compute(node, n * self.forward_flops, at_s)
            at_s = ledger.send(node, PCE, costs.smashed_bytes(self.smashed, n, labels=True), at_s)
            at_s = ledger.send(PCE, node, costs.smashed_bytes(self.smashed, n, labels=False), at_s)
            at_s = ledger.compute(node, n * self.backward_flops, at_s)
            ledger.synchronisations += 1
        return at_s
