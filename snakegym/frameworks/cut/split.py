"""Split learning.

Gupta and Raskar 2018, "Distributed learning of deep neural network over multiple agents",
DOI 10.1016/j.jnca.2018.05.003.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from snakegym.control.progress.plain import count
from snakegym.frameworks.cut.base import CUT, CutFramework
from snakegym.frameworks.cut.pipeline import train_pipeline
from snakegym.frameworks.ledger import Ledger
from snakegym.frameworks.problem import Problem
from snakegym.models.state import LayerState
from snakegym.network.records import PCE


class SplitLearning(CutFramework):
    """One node after the other trains with the server, and hands its layers to the next.

    The nodes' part of the model goes from node to node (the paper's peer-to-peer mode); the server
    goes on with its own part.
    """

    def __init__(self, problem: Problem, cut: int = CUT) -> None:
        super().__init__(problem, cut)
        self._holder = PCE

    def _train(self, ledger: Ledger) -> float:
        problem, now, losses = self.problem, ledger.start_s, []
        for node in range(problem.n_nodes):
            now = ledger.send(self._holder, node, self.client_bytes, now)
            job = problem.job(self.state, node, self.rounds, problem.all_layers)
            result = train_pipeline(problem.model, job, self.parts)
            self.state, self._holder = result.state, node
            losses.append(result.loss)
            now = self._converse(ledger, node, now)
        self._count_round()
        return float(np.average(losses, weights=problem.samples))

    def _carried(self) -> tuple[Sequence[LayerState], dict[str, Any]]:
        return self.state.layers, {"holder": self._holder}

    def _take_up(self, layers: Sequence[LayerState], journal: dict[str, Any]) -> None:
        holder = count("holder", journal["holder"], PCE, self.problem.n_nodes)
        super()._take_up(layers, journal)
        self._holder = holder
