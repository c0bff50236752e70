"""Where a job is carried out: here, on the simulated network with real training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from snakegym.control.records import Job, Outcome, Phases
from snakegym.data.datasets import Dataset
from snakegym.learning.jobs import Engine
from snakegym.network.network import Network
from snakegym.network.simulator import simulate


class Executor(Protocol):
    """Carries out a job, on a simulated network or on a real one."""

    def run(self, job: Job) -> Outcome: ...


class SimulatedExecutor:
    """The network simulator says what a hop takes, the engine trains the batches that fitted.

    Args:
        network: the process's network.
        engine: trains and evaluates; may be shared with other executors.
        validation: the part of the data that the metric is measured on.
    """

    def __init__(self, network: Network, engine: Engine, validation: Dataset) -> None:
        self.network = network
        self.engine = engine
        self.validation = validation

    def run(self, job: Job) -> Outcome:
        """Simulate, train and evaluate one hop."""
        return run_together([self], [job])[0]

    def __deepcopy__(self, memo: dict[int, Any]) -> SimulatedExecutor:
        return self  # it keeps nothing of a process


def run_together(executors: Sequence[SimulatedExecutor], jobs: Sequence[Job]) -> list[Outcome]:
    """One job on each executor, trained in one call of their common engine.

    Args:
        executors: of processes that share one engine and one validation part.
        jobs: one for each executor.
    """
    phases = [simulate(executor.network, job) for executor, job in zip(executors, jobs, strict=True)]
    trainings = [
        replace(job.training, max_batches=_batches(job, p)) for job, p in zip(jobs, phases, strict=True)
    ]
    engine, validation = executors[0].engine, executors[0].validation
    results = engine.train(trainings)
    delivered = [r.batches > 0 and p.update_sent for r, p in zip(results, phases, strict=True)]
    metrics = iter(
        engine.evaluate([r.state for r, ok in zip(results, delivered, strict=True) if ok], validation)
    )
    return [
        Outcome(p, r.state, True, r.batches, r.loss, next(metrics).accuracy)
        if ok
        else Outcome(p, job.training.state, False, r.batches, r.loss, job.metric)
        for job, p, r, ok in zip(jobs, phases, results, delivered, strict=True)
    ]


def _batches(job: Job, phases: Phases) -> int:
    return job.training.batches_within(phases.trained_share * job.training.n_samples)
