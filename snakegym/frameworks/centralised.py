"""Training where all data lie: no framework for a network, but what each of them could reach at best."""

from __future__ import annotations

import math

from snakegym.frameworks.base import Framework
from snakegym.frameworks.ledger import Ledger
from snakegym.network import costs
from snakegym.network.records import PCE


class Centralised(Framework):
    """The nodes send their samples to the server once; it trains the whole model on all of them.

    A sample is a byte a value (what cameras deliver) and its label. The server computes in no time,
    so simulated time is that of the upload; batches mix the samples of all nodes.
    """

    def _train(self, ledger: Ledger) -> float:
        problem = self.problem
        if self.rounds == 0:
            size = math.prod(problem.data.input_shape)
            for node, samples in enumerate(problem.samples):
                n_bytes = costs.smashed_bytes(size, samples, labels=True)
                ledger.send(node, PCE, n_bytes, ledger.start_s)
        [result] = problem.engine.train([problem.pooled_job(self.state, self.rounds)])
        self.state = result.state
        self._count_round()
        return result.loss

    def node_memory(self) -> float:
        """Nothing is trained on a node."""
        return 0.0
