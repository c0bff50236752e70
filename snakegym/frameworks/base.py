"""What every framework is: rounds on a problem, with one record each, that can stop and go on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from snakegym.frameworks.ledger import Ledger
from snakegym.frameworks.problem import Problem, state_on
from snakegym.frameworks.records import Checkpoint, RoundRecord
from snakegym.models.state import ModelState


class Framework(ABC):
    """A way to train the problem's model over its nodes.

    Subclasses train one round (`_train`), say how much memory a node needs, and keep whatever else
    they carry from round to round in `_journal`. Optimisers are fresh for every local training, as in
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
        journal = {
            "rounds": self.rounds,
            "clock_s": self.clock_s,
            "trained_samples": self._trained_samples,
            **self._journal(),
        }
        return Checkpoint(state_on("cpu", self.state), journal)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of the same framework on the same problem."""
        journal = checkpoint.journal
        self._replay(journal)
        self.state = state_on(str(self.problem.data.train.inputs.device), checkpoint.state)
        self.rounds, self.clock_s = int(journal["rounds"]), float(journal["clock_s"])
        self._trained_samples = float(journal["trained_samples"])

    @abstractmethod
    def _train(self, ledger: Ledger) -> float:
        """Train one round, book its costs, and return the mean training loss."""

    @abstractmethod
    def node_memory(self) -> float:
        """Bytes that a node needs at most, by formula; 0 if nodes do not train."""

    def _journal(self) -> dict[str, Any]:
        """What a subclass carries from round to round beside `state`, as plain JSON data."""
        return {}

    def _replay(self, journal: dict[str, Any]) -> None:  # noqa: B027 (most carry nothing)
        """Take up what `_journal` gave."""

    def _count(self, samples: float) -> None:
        self._trained_samples += samples

    def _count_round(self) -> None:
        """Book that every node trained all its samples in every epoch."""
        self._count(sum(self.problem.samples) * self.problem.scenario.learning.epochs)

    def _record(self, ledger: Ledger, loss: float) -> RoundRecord:
        problem = self.problem
        validation, test = (
            problem.engine.evaluate([self.model_state], part)[0].accuracy
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
            loss=float(np.float64(loss)),
            validation_accuracy=validation,
            test_accuracy=test,
        )
