"""Where a job is carried out: here, on the simulated network with real training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from snakegym.control.execution.engines import LocalComputationEngine, ProcessComputationEngine
from snakegym.control.records import Job, Outcome, Part
from snakegym.data.datasets import Dataset
from snakegym.learning.jobs import Engine, TrainingResult
from snakegym.models.state import ModelState
from snakegym.network.network import Network
from snakegym.network.records import Phases


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
        self.engine = engine
        self.lce = LocalComputationEngine(network)
        self.pce = ProcessComputationEngine(engine, validation)

    def run(self, job: Job) -> Outcome:
        """Simulate, train and evaluate one hop."""
        return run_together([self], [job])[0]

    def __deepcopy__(self, memo: dict[int, Any]) -> SimulatedExecutor:
        return self  # it keeps nothing of a process


@dataclass(frozen=True)
class _Done:
    """What came of a job, but for the metric."""

    state: ModelState | None
    """None: no update was delivered."""
    loss: float
    """Of the assigned node."""
    parts: list[Part]
    measured: bool


def run_together(executors: Sequence[SimulatedExecutor], jobs: Sequence[Job]) -> list[Outcome]:
    """One job on each executor, trained in one call of each engine that they have in common.

    Args:
        executors: of processes; those that share an engine and a validation part are trained together.
        jobs: one for each executor.
    """
    groups: dict[tuple[int, int], list[int]] = {}
    for i, executor in enumerate(executors):
        groups.setdefault((id(executor.engine), id(executor.pce.validation)), []).append(i)
    outcomes: dict[int, Outcome] = {}
    for group in groups.values():
        outcomes.update(
            zip(group, _run([executors[i] for i in group], [jobs[i] for i in group]), strict=True)
        )
    return [outcomes[i] for i in range(len(jobs))]


def _run(executors: Sequence[SimulatedExecutor], jobs: Sequence[Job]) -> list[Outcome]:
    """One job on each executor, in one call of their engine."""
    plans = [[e.lce.plan(m) for m in job.members] for e, job in zip(executors, jobs, strict=True)]
    engine, pce = executors[0].engine, executors[0].pce
    trainings = [
        executor.lce.training(member, plan)
        for executor, job, own in zip(executors, jobs, plans, strict=True)
        for member, plan in zip(job.members, own, strict=True)
    ]
    results = iter(engine.train(trainings))
    done = [
        _done(executor, job, own, [next(results) for _ in own])
        for executor, job, own in zip(executors, jobs, plans, strict=True)
    ]
    metrics = iter(pce.evaluate([d.state for d in done if d.state is not None and d.measured]))
    return [
        _outcome(job, d, next(metrics) if d.measured else job.metric)
        for job, d in zip(jobs, done, strict=True)
    ]


def _done(
    executor: SimulatedExecutor, job: Job, plans: Sequence[Phases], results: Sequence[TrainingResult]
) -> _Done:
    parts = [
        executor.lce.report(member, plan, result)
        for member, plan, result in zip(job.members, plans, results, strict=True)
    ]
    state = executor.pce.aggregate(job, parts, results)
    own = parts[0].phases
    measured = job.mode == "cs" or (own.evaluated and own.update_sent)
    return _Done(state, results[0].loss, parts, state is not None and measured)


def _outcome(job: Job, done: _Done, metric: float) -> Outcome:
    own = done.parts[0]
    return Outcome(
        phases=own.phases,
        state=job.training.state if done.state is None else done.state,
        delivered=own.delivered,
        batches=own.batches,
        loss=done.loss,
        metric=metric,
        companions=tuple(done.parts[1:]),
        measured=done.measured,
    )
