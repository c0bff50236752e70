"""What an executor has to keep."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from dataclasses import astuple

import numpy as np
import torch

from snakegym.control.controller import ProcessController
from snakegym.control.execution.executor import Executor
from snakegym.control.records import Assignment, Job, Outcome
from snakegym.models.state import ModelState
from snakegym.models.store import LayerStore
from snakegym.models.trained import TrainedSet
from snakegym.testing.common import CLOSE, alike

Process = tuple[ProcessController, Executor]


def check_executor(start: Callable[[], Process], hops: int = 4, repeatable: bool = True) -> None:
    """Carry out hops and see that the executor answers jobs as it promises.

    A job is plain data, and its future has an outcome. The layers of the outcome are some that the hop
    trains, in the version that the job names, or some of the job's own, with the shapes that they had;
    without a delivered update there are no new ones. Batches are at most the job's, the loss is NaN where
    there were none, the metric is in [0, 1], times, energies and bytes are finite and not negative, bytes
    sent are bytes received plus bytes lost. The job's model is not changed, the controller books the outcome,
    once, and after a job that was abandoned the next is carried out.

    Args:
        start: gives a fresh process and its executor, each time the same.
        hops: how many to carry out.
        repeatable: whether the same job gives the same outcome (a simulation; a real cluster's times differ).

    Raises:
        AssertionError: a promise is broken.
    """
    controller, executor = start()
    for index in range(hops):
        if controller.ended:
            break
        legal = np.argwhere(controller.view().legal)
        if not len(legal):
            controller.wait()
            continue
        node, layer = (int(i) for i in legal[len(controller.history) % len(legal)])
        job = controller.dispatch(Assignment(node, layer))
        assert b"torch" not in pickle.dumps(job), "a job has tensors in it, expected plain data"
        own = _model_of(controller, job)
        kept = own and ModelState(tuple({n: t.clone() for n, t in layer.items()} for layer in own.layers))
        outcome = executor.submit(job).result()
        assert own is None or kept is None or alike(own, kept), "the executor wrote into the job's model"
        _check_outcome(job, outcome, controller.view().trained, controller.store)
        if repeatable:
            again = executor.submit(job).result()
            same = _same_layers(again, outcome) and astuple(again.phases) == astuple(outcome.phases)
            assert same, "the same job gives another outcome"
            assert again.metric == outcome.metric, "the same job gives another metric"
        if index == 0 and hops > 1:
            _check_abandoned(controller, job, outcome)
        else:
            _check_booked(controller, job, outcome)


def _check_booked(controller: ProcessController, job: Job, outcome: Outcome) -> None:
    clock, done = controller.clock_s, len(controller.history)
    hop = controller.complete(job.id, outcome)
    assert controller.clock_s >= clock + hop.costs.time_s - CLOSE, "the clock did not advance by the hop"
    assert controller.complete(job.id, outcome) is hop, "the same outcome again is another hop"
    assert len(controller.history) == done + 1, "an outcome was booked twice"


def _check_abandoned(controller: ProcessController, job: Job, outcome: Outcome) -> None:
    before = controller.progress
    hop = controller.abandon(job.id, "nothing was heard")
    assert controller.complete(job.id, outcome) is hop, "an outcome was booked that came too late"
    assert controller.progress is before, "an abandoned job changed the model"
    assert hop.abandoned
    assert not hop.delivered


def _model_of(controller: ProcessController, job: Job) -> ModelState | None:
    """The model that the job begins with; None if it lies on nodes alone."""
    return controller.store.state(job.versions) if controller.store.has(job.versions) else None


def _check_outcome(job: Job, outcome: Outcome, rule: TrainedSet, store: LayerStore) -> None:
    training = job.training
    assert 0 <= outcome.metric <= 1, f"the metric is {outcome.metric}, expected a share"
    assert 0 <= outcome.batches <= training.n_batches, f"{outcome.batches} batches of {training.n_batches}"
    assert math.isnan(outcome.loss) == (outcome.batches == 0), (
        f"{outcome.batches} batches, loss {outcome.loss}"
    )
    trained = {layer for member in job.members for layer in rule.of(member.assignment.layer)}
    new = {layer for layer, version in outcome.layers if version != job.versions[layer]}
    if not (outcome.delivered or any(part.delivered for part in outcome.companions)):
        assert not new, "no update was delivered, but the model changed"
    assert new <= trained, f"layers {sorted(new - trained)} changed, but are frozen"
    for (layer, version), after in outcome.layers.items():
        assert version in (job.id, job.versions[layer]), f"layer {layer} came in version {version}"
        if (layer, job.versions[layer]) in store:
            before = store.take([(layer, job.versions[layer])])[layer, job.versions[layer]]
            shapes = ({name: t.shape for name, t in found.items()} for found in (before, after))
            assert next(shapes) == next(shapes), f"layer {layer} has other names or shapes than the job's"
    for phases in (outcome.phases, *(part.phases for part in outcome.companions)):
        numbers = [v for v in astuple(phases) if isinstance(v, float | int)]
        assert all(math.isfinite(v) and v >= 0 for v in numbers), f"not finite or below 0: {phases}"
        assert phases.trained_share <= 1, f"more than the whole training was done: {phases}"
        lost = phases.bytes_sent - phases.bytes_received - phases.bytes_lost
        assert abs(lost) <= 1e-6 * (1 + phases.bytes_sent), f"{lost:g} bytes are neither received nor lost"


def _same_layers(one: Outcome, other: Outcome) -> bool:
    return one.layers.keys() == other.layers.keys() and all(
        torch.equal(tensor, other.layers[key][name])
        for key, layer in one.layers.items()
        for name, tensor in layer.items()
    )
