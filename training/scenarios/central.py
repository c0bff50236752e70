"""How far the model comes where all data lie together: the yardstick of round robin."""

from __future__ import annotations

import dataclasses

from snakegym.frameworks.problem import Problem, load_problem
from snakegym.learning.stacked.engine import make_engine
from snakegym.scenario import Scenario, Split
from snakegym.training.runs.progress import progress
from snakegym.training.runs.seeding import derive_seed

DRAWS = 3
"""Of partition and initial model."""
PATIENCE = 8
"""Rounds in a row without a better accuracy after which it stops."""
MOST = 60
"""Rounds after which it stops anyway."""


def central_accuracy(
    scenario: Scenario, seed: int, split: Split = "train", traces: str | None = None
) -> float:
    """Mean over `DRAWS` draws of the best validation accuracy of the same model, trained centrally.

    All layers are trained together on the samples of all nodes in one place, by the scenario's optimiser,
    batch size and gradient clipping, at the learning rate of its first cycle throughout. A round is
    `learning.epochs` passes over all samples with a fresh optimiser, as a hop is over a node's. After every
    round the validation part is measured; training ends when `PATIENCE` rounds in a row were no better than
    the best so far, after `MOST` rounds at the latest. The best of them counts: central training has its
    stopping point chosen for it, round robin's accuracy is that at the end of its budget.

    Raises:
        SnakegymError: whatever is wrong with the scenario.
    """
    best = []
    with progress(DRAWS, "central training", "model", leave=False) as bar:
        for i in range(DRAWS):
            problem = load_problem(scenario, derive_seed(seed, "central", i), split=split, traces=traces)
            best.append(_best(problem))
            bar.update()
    return sum(best) / len(best)


def _best(problem: Problem) -> float:
    engine = make_engine(problem.model)
    state, rate = problem.initial, problem.scenario.learning.learning_rate
    best, since, rounds = 0.0, 0, 0
    while since < PATIENCE and rounds < MOST and best < 1:
        job = dataclasses.replace(problem.pooled_job(state, rounds), learning_rate=rate)
        state = engine.train([job])[0].state
        accuracy = float(engine.evaluate([state], problem.data.validation)[0].score)
        since = 0 if accuracy > best else since + 1
        best, rounds = max(best, accuracy), rounds + 1
    return best
