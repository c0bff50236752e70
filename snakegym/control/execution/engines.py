"""The engines of the paper: what a node computes in a hop (LCE), and what the PCE does with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from snakegym.control.nodes.holdings import NodeData
from snakegym.control.outcomes import own_part
from snakegym.control.records import Job, Part
from snakegym.data.datasets import Dataset
from snakegym.learning.aggregation import average
from snakegym.learning.jobs import Engine, LocalTraining, TrainingResult
from snakegym.models.state import ModelState
from snakegym.network.network import Network
from snakegym.network.records import Phases
from snakegym.network.simulator import simulate


class LocalComputationEngine:
    """The LCE of whichever node a job is for: how far the node gets, what it trains, what that costs.

    Args:
        network: says how long everything takes, and what drops out.
        data: the samples of all nodes.
    """

    def __init__(self, network: Network, data: NodeData) -> None:
        self._network, self._data = network, data

    def plan(self, job: Job) -> Phases:
        """The hop if the node trains all that fits; without a finished batch there is nothing to hand on."""
        phases = simulate(self._network, job.work)
        if _batches(job, phases) > 0:
            return phases
        return simulate(self._network, replace(job.work, send=None, evaluation_flops=0.0))

    def training(self, job: Job, plan: Phases, state: ModelState) -> LocalTraining:
        """The part of the job's training that fits into the plan, with the model as received."""
        data, most = self._data, None if plan.trained_share >= 1 else _batches(job, plan)
        return job.training.on(state, data.train, data.indices[job.assignment.node], most)

    def report(self, job: Job, plan: Phases, result: TrainingResult) -> Part:
        """What the node has done, and what of it has arrived.

        In P2P mode an update arrives where it is: on the node, unless its battery ran out with it.
        """
        phases = self._charged(job, plan, result)
        arrived = phases.update_sent if job.mode == "cs" else not phases.battery_empty
        return own_part(job, phases, result.batches > 0 and arrived, result.batches)

    def _charged(self, job: Job, plan: Phases, result: TrainingResult) -> Phases:
        """The phases, simulated again with the work really done if the node stopped early by itself.

        What a node learns does not depend on how long it takes, so it may be trained before its time is
        known; and it leaves at the end of an epoch, before anything that would interrupt it later.
        """
        if job.training.config.early_exit is None or result.batches >= _batches(job, plan):
            return plan
        teacher = job.teacher_flops / job.flops
        share = teacher + (1 - teacher) * result.batches / job.training.n_batches
        done = simulate(self._network, replace(job.work, flops=share * job.flops, silence=None))
        return replace(done, trained_share=share * done.trained_share)


class ProcessComputationEngine:
    """The PCE, and in the simulation also what computes for it and for the nodes.

    Args:
        engine: trains and evaluates; may be shared.
        validation: the part of the data that the metric is measured on.
    """

    def __init__(self, engine: Engine, validation: Dataset) -> None:
        self.engine = engine
        self.validation = validation

    def aggregate(
        self, job: Job, parts: Sequence[Part], results: Sequence[TrainingResult]
    ) -> ModelState | None:
        """The mean of the updates that arrived, by the samples that each really used; None if none did."""
        states = [result.state for part, result in zip(parts, results, strict=True) if part.delivered]
        if len(states) < 2:
            return states[0] if states else None
        return average(states, samples_used(job, parts))

    def evaluate(self, states: Sequence[ModelState]) -> list[float]:
        """Validation score of each model, in [0, 1] (of a classification: accuracy)."""
        return [found.score for found in self.engine.evaluate(states, self.validation)]


def samples_used(job: Job, parts: Sequence[Part]) -> list[float]:
    """That each of the updates that arrived was really trained on."""
    pairs = zip(parts, job.members, strict=True)
    return [part.used * member.training.n_samples for part, member in pairs if part.delivered]


def _batches(job: Job, phases: Phases) -> int:
    """Batches that fitted into the work done, which begins with the teacher's."""
    if phases.trained_share >= 1:
        return job.training.n_batches
    teacher = job.teacher_flops / job.flops
    share = max(0.0, phases.trained_share - teacher) / (1 - teacher)
    return job.training.batches_within(share * job.training.n_samples)
