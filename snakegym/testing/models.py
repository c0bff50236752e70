"""What a model has to keep."""

from __future__ import annotations

import copy
import math
import pickle

import torch

from snakegym.data.datasets import Dataset
from snakegym.learning.jobs import LocalTraining
from snakegym.learning.sequential import SequentialEngine
from snakegym.learning.stacked.engine import make_engine
from snakegym.models.layered import LayeredModel
from snakegym.models.profile import profile_model
from snakegym.models.state import ModelState
from snakegym.models.trained import TrainedSet
from snakegym.scenario import LearningConfig
from snakegym.testing.common import CLOSE, alike, global_generators_untouched


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
    with global_generators_untouched("model"):
        state = model.initial_state(0)
        _check_states(model, state)
        _check_outputs(model, state, data, n_classes)
        for middle in {0, model.n_middle - 1}:
            _check_hop(model, state, data, middle)
    assert (profile_model(model, data.inputs[0]).training_flops() > 0).all(), (
        "a layer costs no FLOPs to train"
    )
    twin = pickle.loads(pickle.dumps(model))
    assert alike(twin.initial_state(0), state), "a pickled model gives another initial state"


def _samples(input_shape: tuple[int, ...], n_classes: int, n: int = 12) -> Dataset:
    inputs = torch.randn(n, *input_shape, generator=torch.Generator().manual_seed(0))
    return Dataset(inputs, torch.arange(n) % n_classes, n_classes)


def _check_states(model: LayeredModel, state: ModelState) -> None:
    assert len(state) == model.n_layers >= 3, f"{len(state)} layers of state, {model.n_layers} of the model"
    assert alike(model.initial_state(0), state), "the same seed gives another initial state"
    assert not alike(model.initial_state(1), state), "another seed gives the same initial state"
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
    assert alike(state, ModelState(tuple(kept))), "training wrote into the model as it was received"
    assert alike(one.state, again.state), "the same job gives another result"
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
