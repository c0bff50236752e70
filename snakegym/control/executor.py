"""Where a job is carried out: here, on the simulated network with real training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from snakegym.control.records import Job, Outcome, Part, own_part
from snakegym.data.datasets import Dataset
from snakegym.learning.aggregation import average
from snakegym.learning.jobs import Engine, LocalTraining, TrainingResult
from snakegym.models.state import ModelState
from snakegym.network.network import Network
from snakegym.network.records import Phases
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
    teams = [
        [(m, simulate(e.network, m.work)) for m in job.members]
        for e, job in zip(executors, jobs, strict=True)
    ]
    engine, validation = executors[0].engine, executors[0].validation
    results = iter(engine.train([_fitting(*planned) for team in teams for planned in team]))
    updates = []
    for executor, job, team in zip(executors, jobs, teams, strict=True):
        own = [next(results) for _ in team]
        done = [_charged(executor.network, *x, r) for x, r in zip(team, own, strict=True)]
        updates.append(_aggregate(job, done, own))
    metrics = iter(engine.evaluate([state for state, *_ in updates if state is not None], validation))
    return [
        _outcome(job, loss, parts, state, next(metrics).accuracy if state is not None else job.metric)
        for job, (state, loss, parts) in zip(jobs, updates, strict=True)
    ]


def _aggregate(
    job: Job, phases: Sequence[Phases], results: Sequence[TrainingResult]
) -> tuple[ModelState | None, float, list[Part]]:
    """The new model (None if no update was delivered), the assigned node's loss, and each node's part."""
    parts = [
        own_part(m, p, r.batches > 0 and p.update_sent, r.batches)
        for m, p, r in zip(job.members, phases, results, strict=True)
    ]
    delivered = [i for i, part in enumerate(parts) if part.delivered]
    states = [results[i].state for i in delivered]
    if len(states) > 1:
        states = [average(states, [len(job.members[i].training.indices) for i in delivered])]
    return (states[0] if states else None), results[0].loss, parts


def _outcome(job: Job, loss: float, parts: list[Part], state: ModelState | None, metric: float) -> Outcome:
    own = parts[0]
    return Outcome(
        own.phases,
        job.training.state if state is None else state,
        own.delivered,
        own.batches,
        loss,
        metric,
        tuple(parts[1:]),
    )


def _fitting(job: Job, phases: Phases) -> LocalTraining:
    """The part of the job's training that fitted into the work done."""
    if phases.trained_share >= 1:
        return job.training
    return replace(job.training, max_batches=_batches(job, phases))


def _batches(job: Job, phases: Phases) -> int:
    """Batches that fitted into the work done, which begins with the teacher's."""
    if phases.trained_share >= 1:
        return job.training.n_batches
    teacher = job.teacher_flops / job.flops
    share = max(0.0, phases.trained_share - teacher) / (1 - teacher)
    return job.training.batches_within(share * job.training.n_samples)


def _charged(network: Network, job: Job, phases: Phases, result: TrainingResult) -> Phases:
    """The phases, simulated again with the work really done if the node stopped early by itself.

    What a node learns does not depend on how long it takes, so it may be trained before its time is
    known; and it leaves at the end of an epoch, before anything that would interrupt it later.
    """
    if job.training.config.early_exit is None or result.batches >= _batches(job, phases):
        return phases
    teacher = job.teacher_flops / job.flops
    share = teacher + (1 - teacher) * result.batches / job.training.n_batches
    done = simulate(network, replace(job.work, flops=share * job.flops, forced_share=None))
    return replace(done, trained_share=share * done.trained_share)
