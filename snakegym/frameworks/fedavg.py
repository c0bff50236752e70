"""Federated averaging.

McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data",
arXiv:1602.05629.
"""

from __future__ import annotations

import numpy as np

from snakegym.frameworks.base import Framework
from snakegym.frameworks.ledger import Ledger
from snakegym.learning.aggregation import average
from snakegym.network import costs
from snakegym.network.records import PCE


class FedAvg(Framework):
    """Every node trains the whole model; the server takes the mean, weighted by samples.

    All nodes take part in every round, side by side; the round ends when the slowest has sent its
    model. The server waits for all of them: one synchronisation a round.
    """

    def _train(self, ledger: Ledger) -> float:
        problem, samples = self.problem, self.problem.samples
        jobs = [
            problem.job(self.state, node, self.rounds, problem.all_layers) for node in range(problem.n_nodes)
        ]
        results = problem.engine.train(jobs)
        self.state = average([r.state for r in results], samples)
        size = float(problem.profile.n_bytes.sum())
        flops = costs.training_flops(problem.profile.forward_flops.tolist(), problem.all_layers)
        for node, job in enumerate(jobs):
            received = ledger.send(PCE, node, size, ledger.start_s)
            trained = ledger.compute(node, flops * job.n_samples, received)
            ledger.send(node, PCE, size, trained)
        ledger.synchronisations += 1
        self._count_round()
        return float(np.average([r.loss for r in results], weights=samples))

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
