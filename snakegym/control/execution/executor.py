"""Where a job is carried out: here, on the simulated network with real training."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from snakegym.control.controller import ProcessController
from snakegym.control.execution.engines import LocalComputationEngine, ProcessComputationEngine
from snakegym.control.nodes.holdings import NodeData
from snakegym.control.records import Job, Outcome, Part
from snakegym.data.datasets import Dataset
from snakegym.errors import SnakegymError
from snakegym.learning.jobs import Engine, LocalTraining, TrainingResult
from snakegym.models.state import ModelState
from snakegym.models.store import changes
from snakegym.network.network import Network
from snakegym.network.records import Phases


class Executor(Protocol):
    """Carries out the jobs of a process, on a simulated network or on a real one."""

    def submit(self, job: Job) -> Future[Outcome]:
        """Begin; the future's result is what came of it, its exception why nothing did."""
        ...


class SimulatedExecutor:
    """The network simulator says what a hop takes, the engine trains the batches that fitted.

    It reads the layers that a job names in the store of the controller, and writes nothing there.

    Args:
        controller: of the process, whose network is a simulated one and whose data has the samples.
        engine: trains and evaluates; may be shared with other executors.
        validation: the part of the data that the metric is measured on.

    Raises:
        SnakegymError: the process runs on real nodes.
    """

    def __init__(self, controller: ProcessController, engine: Engine, validation: Dataset) -> None:
        network, data = controller.network, controller.managers.data
        if not (isinstance(network, Network) and isinstance(data, NodeData)):
            raise SnakegymError("found a process of real nodes, expected one on a simulated network")
        self.engine, self.network = engine, network
        self.lce = LocalComputationEngine(network, data)
        self.pce = ProcessComputationEngine(engine, validation)
        self._controller = controller

    def submit(self, job: Job) -> Future[Outcome]:
        """Carried out when this returns."""
        done: Future[Outcome] = Future()
        done.set_result(self.run(job))
        return done

    def run(self, job: Job) -> Outcome:
        """Simulate, train and evaluate one hop."""
        return run_together([self], [job])[0]

    def received(self, job: Job) -> ModelState:
        """The model that the job begins with."""
        return self._controller.store.state(job.versions)

    def training(self, job: Job) -> LocalTraining:
        """The whole of the training that the job's own node is given."""
        return self.lce.training(job, Phases(), self.received(job))

    def __deepcopy__(self, memo: dict[int, Any]) -> SimulatedExecutor:
        raise SnakegymError("an executor belongs to one controller: make one for each copy of that")


@dataclass(frozen=True)
class _Done:
    """What came of a job, but for the metric."""

    before: ModelState
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
    states = [executor.received(job) for executor, job in zip(executors, jobs, strict=True)]
    engine, pce = executors[0].engine, executors[0].pce
    trainings = [
        executor.lce.training(member, plan, state)
        for executor, job, own, state in zip(executors, jobs, plans, states, strict=True)
        for member, plan in zip(job.members, own, strict=True)
    ]
    results = iter(engine.train(trainings))
    done = [
        _done(executor, job, own, state, [next(results) for _ in own])
        for executor, job, own, state in zip(executors, jobs, plans, states, strict=True)
    ]
    metrics = iter(pce.evaluate([d.state for d in done if d.state is not None and d.measured]))
    return [
        _outcome(job, d, next(metrics) if d.measured else job.metric)
        for job, d in zip(jobs, done, strict=True)
    ]


def _done(
    executor: SimulatedExecutor,
    job: Job,
    plans: Sequence[Phases],
    before: ModelState,
    results: Sequence[TrainingResult],
) -> _Done:
    parts = [
        executor.lce.report(member, plan, result)
        for member, plan, result in zip(job.members, plans, results, strict=True)
    ]
    state = executor.pce.aggregate(job, parts, results)
    own = parts[0].phases
    measured = job.mode == "cs" or (own.evaluated and own.update_sent)
    return _Done(before, state, results[0].loss, parts, state is not None and measured)


def _outcome(job: Job, done: _Done, metric: float) -> Outcome:
    own, after = done.parts[0], done.before if done.state is None else done.state
    return Outcome(
        phases=own.phases,
        delivered=own.delivered,
        batches=own.batches,
        loss=done.loss,
        metric=metric,
        layers=changes(done.before, after, job.id),
        companions=tuple(done.parts[1:]),
        measured=done.measured,
    )
