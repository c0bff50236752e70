"""What every framework is: rounds on a problem, with one record each, that can stop and go on."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from snakegym.control.progress.checkpoint import reading
from snakegym.control.progress.plain import count, number
from snakegym.frameworks.ledger import Ledger
from snakegym.frameworks.problem import Problem, state_on
from snakegym.frameworks.records import Checkpoint, RoundRecord
from snakegym.models.state import LayerState, ModelState, check_like


class Framework(ABC):
    """A way to train the problem's model over its nodes.

    Subclasses train one round (`_train`), say how much memory a node needs, and add whatever else
    they carry from round to round to `_carried`. Optimisers are fresh for every local training, as in
    a hop of Snake Learning, so nothing but the weights is carried over.

    Attributes:
        state: the tensors in training.
        rounds: rounds done.
        clock_s: simulated time after them.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.state = problem.initial
        self.rounds = 0
        self.clock_s = 0.0
        self._trained_samples = 0.0

    def round(self) -> RoundRecord:
        """Train one round.

        Raises:
            SnakegymError: an outage that never ends.
        """
        ledger = Ledger(self.problem.network, self.clock_s)
        loss = self._train(ledger)
        self.rounds += 1
        self.clock_s = ledger.end_s
        return self._record(ledger, loss)

    @property
    def model_state(self) -> ModelState:
        """The model so far, to be evaluated."""
        return self.state

    def checkpoint(self) -> Checkpoint:
        """All that is needed to go on from here in another process."""
        layers, own = self._carried()
        journal = {"rounds": self.rounds, "clock_s": self.clock_s, "trained_samples": self._trained_samples}
        return Checkpoint(state_on("cpu", ModelState(tuple(layers))).layers, {**journal, **own})

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of the same framework on the same problem.

        Raises:
            SnakegymError: it is of another one, or damaged; then nothing has changed.
        """
        journal, device = checkpoint.journal, str(self.problem.data.train.inputs.device)
        with reading():
            rounds = count("rounds", journal["rounds"])
            clock_s, trained = (number(name, journal[name]) for name in ("clock_s", "trained_samples"))
            self._take_up(state_on(device, ModelState(checkpoint.layers)).layers, journal)
        self.rounds, self.clock_s, self._trained_samples = rounds, clock_s, trained

    def log(self) -> dict[str, Any]:
        """What happened in the rounds so far beside their records, as plain JSON data."""
        return {}

    @abstractmethod
    def _train(self, ledger: Ledger) -> float:
        """Train one round, book its costs, and return the mean training loss."""

    @abstractmethod
    def node_memory(self) -> float:
        """Bytes that a node needs at most, by formula; 0 if nodes do not train."""

    def _carried(self) -> tuple[Sequence[LayerState], dict[str, Any]]:
        """Tensors that are carried from round to round, and whatever else is, as plain JSON data."""
        return self.state.layers, {}

    def _take_up(self, layers: Sequence[LayerState], journal: dict[str, Any]) -> None:
        """Take up what `_carried` gave, all or nothing."""
        check_like(layers, self.state.layers)
        self.state = ModelState(tuple(layers))

    def _count(self, samples: float) -> None:
        self._trained_samples += samples

    def _count_round(self) -> None:
        """Book that every node trained all its samples in every epoch."""
        self._count(sum(self.problem.samples) * self.problem.scenario.learning.epochs)

    def _record(self, ledger: Ledger, loss: float) -> RoundRecord:
        problem = self.problem
        validation, test = (
            problem.engine.evaluate([self.model_state], part)[0]
            for part in (problem.data.validation, problem.data.test)
        )
        return RoundRecord(
            passes=self._trained_samples / sum(problem.samples),
            n_bytes=ledger.n_bytes,
            messages=ledger.messages,
            synchronisations=ledger.synchronisations,
            node_memory_bytes=self.node_memory(),
            node_flops=float(ledger.flops.max()),
            all_flops=float(ledger.flops.sum()),
            time_s=ledger.end_s - ledger.start_s,
            energy_j=ledger.energy_j,
            loss=float(loss) if math.isfinite(loss) else None,
            validation_accuracy=validation.score,
            test_accuracy=test.score,
            test_loss=test.loss if math.isfinite(test.loss) else None,
        )
