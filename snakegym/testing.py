"""Contracts: what a scheduler, a model or an executor of your own has to keep, as checks for your tests.

    from snakegym.testing import check_model, check_scheduler

    def test_my_scheduler():
        check_scheduler(MyScheduler)

    def test_my_model():
        check_model(LayeredModel(my_layers), input_shape=(1, 8, 8), n_classes=10)

Each check plays the part through as the Process Controller would, in seconds, and raises AssertionError that
says which promise was broken. snakegym's own schedulers, models and executor pass the same checks.
"""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, fields, replace
from typing import Any, Protocol

import numpy as np
import torch

from snakegym.control.controller import ProcessController
from snakegym.control.execution.executor import Executor
from snakegym.control.records import FINISH, Assignment, Decision, Job, Outcome
from snakegym.control.service import load_service
from snakegym.control.view import ProcessView
from snakegym.data.datasets import Dataset
from snakegym.learning.jobs import LocalTraining
from snakegym.learning.sequential import SequentialEngine
from snakegym.learning.stacked import make_engine
from snakegym.models.layered import LayeredModel
from snakegym.models.profile import profile_model
from snakegym.models.state import ModelState
from snakegym.models.trained import TrainedSet
from snakegym.scenario import LearningConfig, Scenario, load_scenario

Process = tuple[ProcessController, Executor]
CLOSE = 1e-4
"""How far outputs and parameters may differ where the order of summation may."""


class Schedules(Protocol):
    """A scheduler: see `snakegym.agents.protocol.Scheduler`."""

    def reset(self, seed: int) -> None: ...
    def schedule(self, view: ProcessView) -> Decision: ...


def check_scheduler(
    make: Callable[[Scenario], Schedules], scenario: str | Scenario = "default", decisions: int = 20
) -> None:
    """Play a process and see that the scheduler decides as it promises.

    Every decision is None, FINISH or an `Assignment` of a pair that is legal in that view; where nothing is
    legal it is no assignment. Views are not changed, the global random generators of numpy and torch not
    used, and the same seed and views give the same decisions, for the same object and for another one.

    Args:
        make: a class or function that takes the scenario, as `make_scheduler` and `--scheduler` call it.
        scenario: to play; name, YAML file or object.
        decisions: how many to ask for, at most.

    Raises:
        AssertionError: a promise is broken.
    """
    loaded = load_scenario(scenario)
    scheduler = make(loaded)
    for method in ("reset", "schedule"):
        assert callable(getattr(scheduler, method, None)), f"{type(scheduler).__name__} has no {method}()"
    with _global_generators_untouched("scheduler"):
        views, choices = _decide(scheduler, loaded, decisions)
        for name, again in (("the same scheduler", scheduler), ("another one made alike", make(loaded))):
            again.reset(1)
            repeated = [again.schedule(view) for view in views]
            assert repeated == choices, f"after reset(1) {name} decides {repeated}, the first time {choices}"
    nothing = replace(
        views[0],
        legal=np.zeros_like(views[0].legal),
        nodes=replace(views[0].nodes, reachable=np.zeros_like(views[0].nodes.reachable)),
    )
    scheduler.reset(1)
    found = scheduler.schedule(nothing)
    assert found in (None, FINISH), f"nothing is legal, but schedule() gave {found} instead of None or FINISH"


def _decide(
    scheduler: Schedules, scenario: Scenario, decisions: int
) -> tuple[list[ProcessView], list[Decision]]:
    """Views of one process, and what the scheduler decided on each."""
    controller, executor = load_service(scenario).start(np.random.default_rng(0))
    scheduler.reset(1)
    views: list[ProcessView] = []
    choices: list[Decision] = []
    while len(views) < decisions and not controller.ended:
        view = controller.view()
        before = copy.deepcopy(view)
        choice = scheduler.schedule(view)
        assert _same(view, before), "schedule() changed the view"
        if choice is None:
            controller.wait()
        elif choice is FINISH:
            controller.finish()
        else:
            expected = "an Assignment, None or FINISH"
            assert isinstance(choice, Assignment), f"schedule() gave {choice!r}, expected {expected}"
            nodes, layers = view.legal.shape
            inside = 0 <= choice.node < nodes and 0 <= choice.layer < layers
            legal = inside and view.legal[choice.node, choice.layer]
            assert legal, f"{choice} is not legal: see view.legal"
            job = controller.dispatch(choice)
            controller.complete(job, executor.run(job))
        views.append(view)
        choices.append(choice)
    return views, choices


def check_model(model: LayeredModel, input_shape: tuple[int, ...], n_classes: int) -> None:
    """Train the model layer by layer and see that it is one that Snake Learning can train.

    Outputs are finite, [n, n_classes], and those of a sample do not depend on the others beside it; a seed
    gives one initial state, another seed another one; a hop changes the layers that it trains and leaves the
    others, is repeated exactly by the same job, and comes out alike from both engines. Building a state and
    training leave the global random generators alone; the model can be pickled.

    Args:
        model: `LayeredModel`, or what `build_model` gives.
        input_shape: of one sample, without the batch.
        n_classes: labels are in [0, n_classes).

    Raises:
        AssertionError: a promise is broken.
    """
    data = _samples(input_shape, n_classes)
    with _global_generators_untouched("model"):
        state = model.initial_state(0)
        _check_states(model, state)
        _check_outputs(model, state, data, n_classes)
        for middle in {0, model.n_middle - 1}:
            _check_hop(model, state, data, middle)
    assert (profile_model(model, data.inputs[0]).training_flops() > 0).all(), (
        "a layer costs no FLOPs to train"
    )
    twin = pickle.loads(pickle.dumps(model))
    assert _alike(twin.initial_state(0), state), "a pickled model gives another initial state"


def _samples(input_shape: tuple[int, ...], n_classes: int, n: int = 12) -> Dataset:
    inputs = torch.randn(n, *input_shape, generator=torch.Generator().manual_seed(0))
    return Dataset(inputs, torch.arange(n) % n_classes, n_classes)


def _check_states(model: LayeredModel, state: ModelState) -> None:
    assert len(state) == model.n_layers >= 3, f"{len(state)} layers of state, {model.n_layers} of the model"
    assert _alike(model.initial_state(0), state), "the same seed gives another initial state"
    assert not _alike(model.initial_state(1), state), "another seed gives the same initial state"
    for i, layer in enumerate(state.layers):
        assert model.parameters_of(i), f"layer {i} has no parameters: nothing can be trained in it"
        for name, tensor in layer.items():
            assert torch.isfinite(tensor).all(), f"layer {i}, {name}: not finite at the start"


def _check_outputs(model: LayeredModel, state: ModelState, data: Dataset, n_classes: int) -> None:
    was_training = model.training
    model.load(state)
    model.eval()
    try:
        with torch.no_grad():
            together = model(data.inputs)
            alone = torch.cat([model(sample[None]) for sample in data.inputs])
    finally:
        model.train(was_training)
    expected = (len(data), n_classes)
    assert tuple(together.shape) == expected, f"outputs of shape {tuple(together.shape)}, expected {expected}"
    assert torch.isfinite(together).all(), "outputs are not finite"
    difference = float((together - alone).abs().max())
    assert difference < CLOSE * (1 + float(together.abs().max())), (
        f"outputs of a sample change by {difference:g} with the samples beside it"
    )


def _check_hop(model: LayeredModel, state: ModelState, data: Dataset, middle: int) -> None:
    config = LearningConfig(batch_size=5, epochs=1)
    job = LocalTraining(state, middle, data, torch.arange(len(data)), config, 1e-3, seed=3)
    kept = copy.deepcopy([{name: t.clone() for name, t in layer.items()} for layer in state.layers])
    one, again = (SequentialEngine(model).train([job])[0] for _ in range(2))
    (other,) = make_engine(model, "stacked").train([job])
    assert _alike(state, ModelState(tuple(kept))), "training wrote into the model as it was received"
    assert _alike(one.state, again.state), "the same job gives another result"
    assert math.isfinite(one.loss), f"the loss is {one.loss}"
    trained = TrainedSet(model.n_layers, config.trains, model.tied).of(middle)
    for i, (before, after) in enumerate(zip(state.layers, one.state.layers, strict=True)):
        changed = any(not torch.equal(before[name], after[name]) for name in before)
        assert changed or i not in trained, (
            f"layer {i} was trained on layer {middle}'s hop but did not change"
        )
        assert not changed or i in trained, f"layer {i} changed although the hop trains {trained}"
        for name in before:
            assert torch.allclose(after[name], other.state.layers[i][name], rtol=1e-3, atol=CLOSE), (
                f"layer {i}, {name}: the engines that train one by one and together differ"
            )


def check_executor(start: Callable[[], Process], hops: int = 4, repeatable: bool = True) -> None:
    """Carry out hops and see that the executor answers jobs as it promises.

    The outcome's model has the layers and shapes of the job's, and differs from it only in layers that the
    hop trains; without a delivered update it is the job's own. Batches are at most the job's, the loss is
    NaN where there were none, the metric is in [0, 1], times, energies and bytes are finite and not negative,
    bytes sent are bytes received plus bytes lost. The job is not changed, and the controller books it.

    Args:
        start: gives a fresh process and its executor, each time the same.
        hops: how many to carry out.
        repeatable: whether the same job gives the same outcome (a simulation; a real cluster's times differ).

    Raises:
        AssertionError: a promise is broken.
    """
    controller, executor = start()
    for _ in range(hops):
        if controller.ended:
            break
        legal = np.argwhere(controller.view().legal)
        if not len(legal):
            controller.wait()
            continue
        node, layer = (int(i) for i in legal[len(controller.history) % len(legal)])
        job = controller.dispatch(Assignment(node, layer))
        kept = [{name: t.clone() for name, t in tensors.items()} for tensors in job.training.state.layers]
        outcome = executor.run(job)
        assert _alike(job.training.state, ModelState(tuple(kept))), "run() wrote into the job's model"
        _check_outcome(job, outcome, controller.view().trained)
        if repeatable:
            again = executor.run(job)
            same = _alike(again.state, outcome.state) and astuple(again.phases) == astuple(outcome.phases)
            assert same, "the same job gives another outcome"
            assert again.metric == outcome.metric, "the same job gives another metric"
        clock = controller.clock_s
        hop = controller.complete(job, outcome)
        assert controller.clock_s >= clock + hop.costs.time_s - CLOSE, "the clock did not advance by the hop"


def _check_outcome(job: Job, outcome: Outcome, rule: TrainedSet) -> None:
    training, own = job.training, job.training.state
    assert len(outcome.state) == len(own), f"{len(outcome.state)} layers, the job has {len(own)}"
    assert 0 <= outcome.metric <= 1, f"the metric is {outcome.metric}, expected a share"
    assert 0 <= outcome.batches <= training.n_batches, f"{outcome.batches} batches of {training.n_batches}"
    assert math.isnan(outcome.loss) == (outcome.batches == 0), (
        f"{outcome.batches} batches, loss {outcome.loss}"
    )
    if not (outcome.delivered or any(part.delivered for part in outcome.companions)):
        assert _alike(outcome.state, own), "no update was delivered, but the model changed"
    trained = {layer for member in job.members for layer in rule.of(member.assignment.layer)}
    for i, (before, after) in enumerate(zip(own.layers, outcome.state.layers, strict=True)):
        shapes = {name: t.shape for name, t in before.items()}, {name: t.shape for name, t in after.items()}
        assert shapes[0] == shapes[1], f"layer {i} has other names or shapes than the job's"
        if i not in trained:
            assert all(torch.equal(before[n], after[n]) for n in before), f"layer {i} changed, but is frozen"
    for phases in (outcome.phases, *(part.phases for part in outcome.companions)):
        numbers = [v for v in astuple(phases) if isinstance(v, float | int)]
        assert all(math.isfinite(v) and v >= 0 for v in numbers), f"not finite or below 0: {phases}"
        assert phases.trained_share <= 1, f"more than the whole training was done: {phases}"
        lost = phases.bytes_sent - phases.bytes_received - phases.bytes_lost
        assert abs(lost) <= 1e-6 * (1 + phases.bytes_sent), f"{lost:g} bytes are neither received nor lost"


@contextmanager
def _global_generators_untouched(whose: str) -> Iterator[None]:
    before = _numpy_state(), torch.get_rng_state()
    yield
    assert _same(_numpy_state(), before[0]), f"the {whose} drew from numpy's global generator"
    assert torch.equal(torch.get_rng_state(), before[1]), f"the {whose} drew from torch's global generator"


def _numpy_state() -> Any:
    state: Any = np.random.get_state()  # noqa: NPY002 - the global one is meant
    return np.append(state[1], state[2])  # the second says how many of the first are used up


def _alike(one: ModelState, other: ModelState) -> bool:
    return len(one) == len(other) and all(
        a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
        for a, b in zip(one.layers, other.layers, strict=True)
    )


def _same(one: Any, other: Any) -> bool:
    """Whether two views, or parts of them, hold the same."""
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other))
    if hasattr(one, "__dataclass_fields__"):
        return all(_same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    return bool(one == other)
