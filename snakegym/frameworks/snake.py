"""Snake Learning with nodes in turn.

Snake Learning: A Communication- and Computation-Efficient Distributed Learning Framework for 6G,
DOI 10.1109/MCOM.005.2400282.
"""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from snakegym.control.controller import ProcessController
from snakegym.control.executor import Executor, SimulatedExecutor
from snakegym.control.records import Assignment, Hop, Job, Outcome
from snakegym.errors import SnakegymError
from snakegym.frameworks.base import Framework
from snakegym.frameworks.ledger import Ledger
from snakegym.frameworks.problem import Problem
from snakegym.network.records import Phases
from snakegym.network.simulator import simulate
from snakegym.scenario import ForcedInterruption, LayerOrder, Mode

NEVER_S = 1e12
"""A budget that is never used up: rounds are counted instead."""
FIFTH_LAYER = 3
"""The middle layer that is the fifth of the whole model; the first is no middle layer."""
GIVEN_UP_S = 10.0
"""After how long the Process Controller gives up a node that was interrupted."""


class Interrupting:
    """Carries hops out, but gives a node up `GIVEN_UP_S` after it received a job that is to be interrupted.

    The network of a comparison has a timeout that is as good as infinite, so it cannot say when.
    """

    def __init__(self, executor: SimulatedExecutor) -> None:
        self._executor = executor

    def run(self, job: Job) -> Outcome:
        """One hop."""
        if job.forced_share is None:
            return self._executor.run(job)
        received = simulate(
            self._executor.network, replace(job.work, flops=0.0, send=None, forced_share=None)
        )
        phases = replace(
            received, compute_s=GIVEN_UP_S, trained_share=0.0, interrupted="compute", update_sent=False
        )
        return Outcome(phases, job.training.state, False, 0, math.nan, job.metric)


class SnakeLearning(Framework):
    """The Process Controller's process, with the nodes in turn; a round is a hop at every node.

    With as many nodes as middle layers a round is a cycle, and in sequential order every node always
    trains the same layer. Nobody ever waits for another in the middle of its work: there are no
    synchronisations. Nodes wait for their turn, as everywhere, at the price of simulated time.

    Args:
        problem: what to train on.
        mode: through the PCE (`cs`) or from node to node (`p2p`).
        order: of the middle layers in a cycle.
        rotate: begin every round one node later, so that nodes train other layers than before.
        interrupted: in every cycle the training of the model's fifth layer is interrupted before it
            has begun, and the process goes on with the next layer on the next node.
    """

    def __init__(
        self,
        problem: Problem,
        mode: Mode = "p2p",
        order: LayerOrder = "serpentine",
        *,
        rotate: bool = False,
        interrupted: bool = False,
    ) -> None:
        super().__init__(problem)
        base = problem.scenario
        process = base.process.model_copy(
            update={
                "layer_order": order,
                "target": None,
                "interrupt": ForcedInterruption(layer=FIFTH_LAYER) if interrupted else None,
                "budget": base.process.budget.model_copy(
                    update={"time_s": NEVER_S, "energy_j": None, "hops": None}
                ),
            }
        )
        network = base.network.model_copy(update={"mode": mode})
        self._scenario = base.model_copy(update={"process": process, "network": network})
        self._rotate = rotate
        simulated = SimulatedExecutor(problem.network, problem.engine, problem.data.validation)
        self._executor: Executor = Interrupting(simulated) if interrupted else simulated
        self._controller = self._start()
        self._hops: list[dict[str, Any]] = []

    def node_memory(self) -> float:
        """That of the hop that needs most."""
        return float(self.problem.profile.hop_memory(self.problem.scenario.learning).max())

    def _train(self, ledger: Ledger) -> float:
        problem, controller = self.problem, self._controller
        losses = []
        for turn in range(problem.n_nodes):
            node = (turn + self.rounds * self._rotate) % problem.n_nodes
            waits = self._wait_for(node)
            job = controller.dispatch(self._assignment(node))
            outcome = self._executor.run(job)
            hop = controller.complete(job, outcome)
            self._hops.append(_note(hop, outcome, waits))
            self._count(hop.phases.trained_share * job.training.n_samples)
            ledger.book(hop, job.flops, controller.clock_s)
            losses.append(hop.loss)
        self.state = controller.state
        return float(np.nanmean(losses))

    def _wait_for(self, node: int) -> int:
        """Let time pass until the node can be reached."""
        waits, controller = 0, self._controller
        while not controller.view().legal[node].any():
            controller.wait()
            waits += 1
            if waits * self._scenario.process.wait_s > self._scenario.network.timeout_s:
                raise SnakegymError(
                    f"node {node}: found it out of reach or without the memory for any layer for longer "
                    f"than network.timeout_s, expected it back by {controller.clock_s:.0f} s"
                )
        return waits

    def _assignment(self, node: int) -> Assignment:
        legal = self._controller.view().legal[node]
        return Assignment(node, int(np.argmax(legal)))

    def _start(self) -> ProcessController:
        problem = self.problem
        metric = problem.engine.evaluate([problem.initial], problem.data.validation)[0].accuracy
        return ProcessController(
            self._scenario,
            problem.profile,
            problem.network,
            problem.nodes,
            problem.initial,
            metric,
            np.random.default_rng([problem.seed, 4]),
        )

    def _journal(self) -> dict[str, Any]:
        return {"hops": self._hops}

    def _replay(self, journal: dict[str, Any]) -> None:
        """Book all hops anew, with the outcomes that they had: caches, cycle, clock and accounts follow."""
        self._hops = list(journal["hops"])
        self._controller = self._start()
        for note in self._hops:
            for _ in range(note["waits"]):
                self._controller.wait()
            job = self._controller.dispatch(Assignment(note["node"], note["layer"]))
            self._controller.complete(job, _outcome(note, job.training.state))

    def restore(self, checkpoint: Any) -> None:
        """Go on from a checkpoint of the same framework on the same problem."""
        super().restore(checkpoint)
        self._controller.state = self.state


def _note(hop: Hop, outcome: Outcome, waits: int) -> dict[str, Any]:
    """A hop as plain JSON data: enough to book it again, and to see what every hop brought."""
    return {
        "node": hop.assignment.node,
        "layer": hop.assignment.layer,
        "waits": waits,
        "phases": asdict(outcome.phases),
        "delivered": outcome.delivered,
        "batches": outcome.batches,
        "loss": outcome.loss if math.isfinite(outcome.loss) else None,
        "metric": outcome.metric,
    }


def _outcome(note: dict[str, Any], state: Any) -> Outcome:
    loss = math.nan if note["loss"] is None else note["loss"]
    return Outcome(Phases(**note["phases"]), state, note["delivered"], note["batches"], loss, note["metric"])
