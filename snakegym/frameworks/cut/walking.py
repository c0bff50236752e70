"""Random Walking Snakes.

Ardic et al., "Random Walking Snakes for Decentralized Learning at Edge Networks", IEEE LANMAN 2023,
DOI 10.1109/LANMAN58293.2023.10189426.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from snakegym.control.progress.plain import count
from snakegym.errors import SnakegymError
from snakegym.frameworks.base import Framework
from snakegym.frameworks.cut.pipeline import train_pipeline
from snakegym.frameworks.ledger import Ledger, batch_sizes
from snakegym.frameworks.problem import Problem, balanced_cuts, runs
from snakegym.models.state import LayerState
from snakegym.network import costs
from snakegym.network.records import PCE

LENGTH = 3
"""Nodes of a snake, where there are enough."""


class RandomWalkingSnakes(Framework):
    """A snake of nodes holds the model in parts; the head's data train all of them.

    Activations and labels go from the head towards the tail, gradients come back. After its epochs
    the snake moves on: a new head joins, everybody takes over the part of the node ahead, the tail
    leaves. Every round each node is head once, in a random order (so that rounds are passes over the
    data), and never joins while it is still in the snake. There is one snake, and it works on a batch
    at a time; the parts do about equal work.

    Args:
        problem: what to train on.
        length: nodes of the snake.
    """

    def __init__(self, problem: Problem, length: int = LENGTH) -> None:
        super().__init__(problem)
        length = min(length, problem.n_nodes // 2 + 1, problem.model.n_layers)
        forward = problem.profile.forward_flops.tolist()
        bounds = balanced_cuts(forward, length)
        self.parts = runs(bounds)
        self._snake: list[int] = []
        self._bytes = [float(sum(problem.profile.n_bytes[i] for i in part)) for part in self.parts]
        sizes = problem.profile.output_bytes.tolist()
        self._smashed = [sizes[part[-1]] for part in self.parts[:-1]]
        own = [[forward[i] for i in part] for part in self.parts]
        self._forward = [sum(f) for f in own]
        self._backward = [
            costs.training_flops(f, range(len(f)), pass_on=i > 0) - sum(f) for i, f in enumerate(own)
        ]

    def node_memory(self) -> float:
        """That of training the part that needs most."""
        profile, learning = self.problem.profile, self.problem.scenario.learning
        return max(
            costs.hop_memory(
                [profile.n_bytes[i] for i in part],
                [profile.activation_bytes[i] for i in part],
                range(len(part)),
                learning.batch_size,
                learning.optimizer,
                scratch_bytes=profile.scratch_bytes[list(part)].max(),
            )
            for part in self.parts
        )

    def _train(self, ledger: Ledger) -> float:
        problem, now, losses = self.problem, ledger.start_s, {}
        for head in self._heads():
            now = self._move(ledger, head, now)
            job = problem.job(self.state, head, self.rounds, problem.all_layers)
            result = train_pipeline(problem.model, job, self.parts)
            self.state = result.state
            losses[head] = result.loss
            now = self._book(ledger, now)
        self._count_round()
        return float(np.average([losses[n] for n in sorted(losses)], weights=problem.samples))

    def _heads(self) -> list[int]:
        """The round's heads; the first of them are not in the snake that is left from the round before."""
        rng = np.random.default_rng([self.problem.seed, self.rounds])
        busy = self._snake[: len(self.parts) - 1]
        while True:
            order: list[int] = rng.permutation(self.problem.n_nodes).tolist()
            if not set(order[: len(busy)]) & set(busy):
                return order

    def _move(self, ledger: Ledger, head: int, at_s: float) -> float:
        """Every part goes to the node ahead, all at once; at first, all come from the server."""
        before = self._snake or [PCE] * len(self.parts)
        # The snake grows from the head: until it is long enough, the nodes after it come from the pool.
        others = [n for n in range(self.problem.n_nodes) if n != head]
        self._snake = [head, *(self._snake or others)][: len(self.parts)]
        arrivals = [
            ledger.send(old, new, size, at_s)
            for old, new, size in zip(before, self._snake, self._bytes, strict=True)
        ]
        return max(arrivals)

    def _book(self, ledger: Ledger, at_s: float) -> float:
        learning, last = self.problem.scenario.learning, len(self.parts) - 1
        samples = self.problem.samples[self._snake[0]]
        for n in batch_sizes(samples, learning.batch_size, learning.epochs):
            for i, node in enumerate(self._snake):
                at_s = ledger.compute(node, n * self._forward[i], at_s)
                if i < last:
                    n_bytes = costs.smashed_bytes(self._smashed[i], n, labels=True)
                    at_s = ledger.send(node, self._snake[i + 1], n_bytes, at_s)
            for i, node in reversed(list(enumerate(self._snake))):
                at_s = ledger.compute(node, n * self._backward[i], at_s)
                if i > 0:
                    n_bytes = costs.smashed_bytes(self._smashed[i - 1], n, labels=False)
                    at_s = ledger.send(node, self._snake[i - 1], n_bytes, at_s)
            ledger.synchronisations += last
        return at_s

    def _carried(self) -> tuple[Sequence[LayerState], dict[str, Any]]:
        return self.state.layers, {"snake": self._snake}

    def _take_up(self, layers: Sequence[LayerState], journal: dict[str, Any]) -> None:
        snake = [count("snake", node, below=self.problem.n_nodes) for node in journal["snake"]]
        if len(snake) not in (0, len(self.parts)) or len({*snake}) < len(snake):
            raise SnakegymError(
                f"checkpoint, field 'snake': found {snake!r:.80}, expected a node for each part"
            )
        super()._take_up(layers, journal)
        self._snake = snake
