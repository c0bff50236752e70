"""Snake Learning with nodes in turn.

Snake Learning: A Communication- and Computation-Efficient Distributed Learning Framework for 6G,
DOI 10.1109/MCOM.005.2400282.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from snakegym.control.controller import ProcessController
from snakegym.control.execution.executor import Executor, SimulatedExecutor
from snakegym.control.execution.interrupting import InterruptingExecutor
from snakegym.control.progress.checkpoint import ProcessCheckpoint
from snakegym.control.records import Assignment, Hop
from snakegym.errors import SnakegymError
from snakegym.frameworks.base import Framework
from snakegym.frameworks.ledger import Ledger
from snakegym.frameworks.problem import Problem
from snakegym.learning.quantisation import as_handed_on
from snakegym.models.state import LayerState
from snakegym.network.records import PCE
from snakegym.scenario import LayerOrder, Mode, Scenario

NEVER_S = 1e12
"""A budget that is never used up: rounds are counted instead."""
FIFTH_LAYER = 3
"""The middle layer that is the fifth of the whole model; the first is no middle layer."""
SOMETHING = 1e-9
"""A bit, or a share of compute: whether any gets through at all."""
GIVEN_UP_S = 10.0
"""After how long the Process Controller gives up a node that was interrupted."""


class SnakeLearning(Framework):
    """The Process Controller's process, with the nodes in turn; a round is a hop at every node.

    With as many nodes as middle layers a round is a cycle, and in sequential order every node always
    trains the same layer. Nobody ever waits for another in the middle of its work: there are no
    synchronisations. Nodes wait for their turn, as everywhere, at the price of simulated time.

    Args:
        problem: what to train on.
        mode: through the PCE (`cs`) or from node to node (`p2p`); the scenario's `process.parallel` holds
            for `cs` alone.
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
        self._scenario = _in_turn(problem.scenario, mode, order)
        self._rotate = rotate
        self._controller = self._start()
        simulated = SimulatedExecutor(self._controller, problem.engine, problem.data.validation)
        self._executor: Executor = simulated
        if interrupted:  # the timeout of a comparison's network is as good as infinite, so it cannot say when
            self._executor = InterruptingExecutor(simulated, FIFTH_LAYER, 0.0, GIVEN_UP_S)

    def node_memory(self) -> float:
        """That of the hop that needs most."""
        learning, hands_on = self.problem.scenario.learning, self._scenario.network.mode == "p2p"
        rank = None if learning.lora is None else learning.lora.choices[-1]
        profile = self.problem.profile
        memory = profile.hop_memory(learning, originals=hands_on, rank=rank)
        return float((memory + max(self.problem.samples) * profile.kept_bytes(learning)).max())

    def _train(self, ledger: Ledger) -> float:
        problem, controller = self.problem, self._controller
        losses = []
        for node in self._turns():
            self._wait_for(node)
            job = controller.dispatch(self._assignment(node))
            hop = controller.complete(job.id, self._executor.submit(job).result())
            for part in hop.parts:
                samples = problem.samples[part.node] * problem.scenario.learning.epochs
                self._count(part.phases.trained_share * samples)
            ledger.book(hop, controller.clock_s)
            losses.append(hop.loss)
        self.state = controller.state
        trained = [loss for loss in losses if math.isfinite(loss)]
        return float(np.mean(trained)) if trained else math.nan

    def _turns(self) -> Iterator[int]:
        """The nodes that are assigned a hop in this round.

        Where several nodes train in a hop, the others of its nodes need no turn of their own any more; the
        round ends with as many hops as it takes for every node to train once if none trains twice.
        """
        n, done = self.problem.n_nodes, len(self._controller.history)
        order = [(turn + self.rounds * self._rotate) % n for turn in range(n)]
        for _ in range(math.ceil(n / self._scenario.process.parallel)):
            busy = {part.node for hop in self._controller.history[done:] for part in hop.parts}
            yield next(node for node in order if node not in busy)

    def _wait_for(self, node: int) -> None:
        """Let time pass until the node can be reached."""
        waits, controller = 0, self._controller
        while not controller.view().legal[node].any():
            patience = self._scenario.network.timeout_s - waits * self._scenario.process.wait_s
            if patience < 0 or (waits == 0 and self._is_gone(node)):
                raise SnakegymError(
                    f"node {node}: found it out of reach for longer than network.timeout_s after "
                    f"{controller.clock_s:.0f} s of simulated time, expected traces on which it comes back"
                )
            controller.wait()
            waits += 1

    def _is_gone(self, node: int) -> bool:
        """Whether its compute or its link is down for longer than the timeout: waiting would never end."""
        network, now = self.problem.network, self._controller.clock_s
        ways = (
            network.compute_course(node),
            network.link_course(PCE, node),
            network.link_course(node, PCE),
        )
        return not all(way.advance(now, SOMETHING, network.timeout_s).complete for way in ways)

    def _assignment(self, node: int) -> Assignment:
        legal = self._controller.view().legal[node]
        return Assignment(node, int(np.argmax(legal)))

    def _start(self) -> ProcessController:
        problem = self.problem
        initial = as_handed_on(problem.model, problem.initial, problem.scenario.learning)
        metric = problem.engine.evaluate([initial], problem.data.validation)[0].score
        return ProcessController(
            self._scenario,
            problem.profile,
            problem.network,
            problem.nodes,
            initial,
            metric,
            np.random.default_rng([problem.seed, 4]),
        )

    def log(self) -> dict[str, Any]:
        """What every hop cost and brought."""
        return {"hops": [_note(hop) for hop in self._controller.history]}

    def _carried(self) -> tuple[Sequence[LayerState], dict[str, Any]]:
        checkpoint = self._controller.checkpoint()
        return checkpoint.layers, {"process": checkpoint.journal}

    def _take_up(self, layers: Sequence[LayerState], journal: dict[str, Any]) -> None:
        self._controller.restore(ProcessCheckpoint(tuple(layers), journal["process"]))
        self.state = self._controller.state


def _in_turn(base: Scenario, mode: Mode, order: LayerOrder) -> Scenario:
    """The scenario with rounds instead of a budget; peer to peer has nobody to average several nodes."""
    fields = base.model_dump()
    fields["network"]["mode"] = mode
    fields["process"] |= {
        "layer_order": order,
        "parallel": base.process.parallel if mode == "cs" else 1,
        "target": None,
        "evaluation": "observer",
        "budget": {"time_s": NEVER_S},
    }
    return Scenario.model_validate(fields)


def _note(hop: Hop) -> dict[str, Any]:
    """A hop as plain JSON data."""
    return {
        "node": hop.assignment.node,
        "layer": hop.assignment.layer,
        "start_s": hop.start_s,
        "delivered": hop.delivered,
        "batches": hop.batches,
        "loss": hop.loss if math.isfinite(hop.loss) else None,
        "metric": hop.metric,
        "parts": [asdict(part) for part in hop.parts],
    }
