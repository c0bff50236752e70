"""SplitFed learning: split learning with all clients at once.

Thapa et al., "SplitFed: When Federated Learning Meets Split Learning", AAAI 2022,
arXiv:2004.12088.
"""

from __future__ import annotations

import numpy as np

from snakegym.frameworks.cut.base import CUT, CutFramework
from snakegym.frameworks.cut.pipeline import train_pipeline
from snakegym.frameworks.ledger import Ledger
from snakegym.frameworks.problem import Problem
from snakegym.learning.aggregation import average
from snakegym.models.state import ModelState
from snakegym.network.records import PCE


class SplitFed(CutFramework):
    """All nodes train with the main server side by side; the fed server averages their layers.

    Args:
        problem: what to train on.
        cut: layers of a client.
        shared_server: the paper's second variant: one server part, which takes the clients in turn
            (in a random order every round). In the first variant the server keeps a copy a client
            and averages these too, which trains exactly as federated averaging does.
    """

    def __init__(self, problem: Problem, cut: int = CUT, *, shared_server: bool = False) -> None:
        super().__init__(problem, cut)
        self._shared_server = shared_server

    def _train(self, ledger: Ledger) -> float:
        problem, samples = self.problem, self.problem.samples
        order = list(range(problem.n_nodes))
        if self._shared_server:
            order = np.random.default_rng([problem.seed, self.rounds]).permutation(order).tolist()
        states: dict[int, ModelState] = {}
        losses: dict[int, float] = {}
        current = self.state
        for node in order:
            job = problem.job(current, node, self.rounds, problem.all_layers)
            result = train_pipeline(problem.model, job, self.parts)
            states[node], losses[node] = result.state, result.loss
            if self._shared_server:
                current = self.state.replace({i: result.state.layers[i] for i in self.parts[1]})
        clients = average([states[node] for node in range(problem.n_nodes)], samples)
        if self._shared_server:
            clients = current.replace({i: clients.layers[i] for i in self.parts[0]})
        self.state = clients
        self._book(ledger)
        return float(np.average([losses[n] for n in range(problem.n_nodes)], weights=samples))

    def _book(self, ledger: Ledger) -> None:
        for node in range(self.problem.n_nodes):
            now = ledger.send(PCE, node, self.client_bytes, ledger.start_s)
            now = self._converse(ledger, node, now)
            ledger.send(node, PCE, self.client_bytes, now)
        ledger.synchronisations += 1
        self._count_round()
