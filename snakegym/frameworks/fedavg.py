"""Federated averaging.

McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data",
arXiv:1602.05629.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snakegym.frameworks.base import Framework
from snakegym.frameworks.ledger import Ledger
from snakegym.learning.aggregation import average
from snakegym.learning.jobs import LocalTraining
from snakegym.network import costs
from snakegym.network.records import PCE


class Federated(Framework):
    """All nodes train in every round, side by side; the server takes the mean, weighted by samples.

    The round ends when the slowest has sent what it trained. The server waits for all of them: one
    synchronisation a round.
    """

    def _averaged(
        self, ledger: Ledger, jobs: Sequence[LocalTraining], down: float, up: float, flops: float
    ) -> float:
        """One round: of a job a node. Gives the mean loss.

        Args:
            ledger: of the round.
            jobs: in the order of the nodes.
            down: bytes that each node receives.
            up: bytes that it sends.
            flops: of training on one sample.
        """
        samples = self.problem.samples
        results = self.problem.engine.train(jobs)
        self.state = average([r.state for r in results], samples)
        for node, job in enumerate(jobs):
            received = ledger.send(PCE, node, down, ledger.start_s)
            trained = ledger.compute(node, flops * job.n_samples, received)
            ledger.send(node, PCE, up, trained)
        ledger.synchronisations += 1
        self._count_round()
        return float(np.average([r.loss for r in results], weights=samples))


class FedAvg(Federated):
    """Every node trains the whole model, and the mean of the models goes on."""

    def _train(self, ledger: Ledger) -> float:
        problem = self.problem
        jobs = [
            problem.job(self.state, node, self.rounds, problem.all_layers) for node in range(problem.n_nodes)
        ]
        size = float(problem.profile.n_bytes.sum())
        flops = costs.training_flops(problem.profile.forward_flops.tolist(), problem.all_layers)
        return self._averaged(ledger, jobs, size, size, flops)

    def node_memory(self) -> float:
        """That of training the whole model."""
        profile, learning = self.problem.profile, self.problem.scenario.learning
        return costs.hop_memory(
            profile.n_bytes.tolist(),
            profile.activation_bytes.tolist(),
            self.problem.all_layers,
            learning.batch_size,
            learning.optimizer,
            scratch_bytes=profile.scratch_bytes.max(),
        )
