import copy
import pickle

import pytest
import torch
from torch import nn

from snakegym.errors import SnakegymError
from snakegym.models.layered import LayeredModel
from snakegym.models.state import ModelState
from snakegym.models.zoo import build_model
from snakegym.scenario import ModelConfig


@pytest.fixture
def model():
    return build_model(ModelConfig(options={"width": 8, "middle": 3}), (1, 8, 8), 10)


def with_buffers():
    return LayeredModel([nn.Linear(4, 6), nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6)), nn.Linear(6, 2)])


def tensors(state):
    return [t for layer in state.layers for t in layer.values()]


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(tensors(a), tensors(b), strict=True))


def test_counts(model):
    assert (model.n_layers, model.n_middle) == (5, 3)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_needs_a_middle_layer(n):
    with pytest.raises(SnakegymError, match=f"found {n} layers"):
        LayeredModel([nn.Linear(2, 2) for _ in range(n)])


def test_initial_state_is_kaiming():
    model = build_model(ModelConfig(name="vgg", options={"width": 64}), (1, 8, 8), 10)
    for layer in model.initial_state(0).layers[1:]:
        for name, tensor in layer.items():
            if tensor.ndim > 1:
                fan_in = tensor[0].numel()
                assert float(tensor.std()) == pytest.approx((2 / fan_in) ** 0.5, rel=0.1)
            elif name.endswith("bias"):
                assert not tensor.any()


def test_initial_state_depends_on_the_seed_alone(model):
    other = build_model(ModelConfig(options={"width": 8, "middle": 3}), (1, 8, 8), 10)
    torch.manual_seed(123)
    assert same(model.initial_state(7), other.initial_state(7))
    assert not same(model.initial_state(7), model.initial_state(8))


def test_global_generator_untouched_by_building_and_initialising():
    before = torch.get_rng_state()
    for name, shape in (("mlp", (1, 8, 8)), ("vgg", (1, 8, 8)), ("vgg11", (3, 32, 32))):
        build_model(ModelConfig(name=name, options={"width": 1}), shape, 10).initial_state(3)
    assert torch.equal(torch.get_rng_state(), before)


def test_load_is_by_reference(model):
    state = model.initial_state(0)
    model.load(state)
    for i, layer in enumerate(state.layers):
        for name, tensor in layer.items():
            assert model.parameters_of(i)[name].data_ptr() == tensor.data_ptr()


def test_initialising_does_not_write_into_what_is_loaded(model):
    state = model.initial_state(0)
    kept = copy.deepcopy([t.clone() for t in tensors(state)])
    model.load(state)
    model.initial_state(1)
    assert all(torch.equal(a, b) for a, b in zip(tensors(state), kept, strict=True))


def test_forward_uses_the_loaded_state(model):
    x = torch.ones(2, 1, 8, 8)
    a, b = model.initial_state(0), model.initial_state(1)
    model.load(a)
    first = model(x)
    model.load(b)
    assert not torch.equal(model(x), first)
    model.load(a)
    assert torch.equal(model(x), first)


def test_buffers_belong_to_their_layer():
    model = with_buffers()
    state = model.initial_state(0)
    assert {"1.running_mean", "1.running_var", "1.num_batches_tracked"} < set(state.layers[1])
    other = dict(state.layers[1]) | {"1.running_mean": torch.full((6,), 5.0)}
    model.load(state.replace({1: other}))
    assert model.layers[1][1].running_mean.tolist() == [5.0] * 6
    assert model.state().layers[1]["1.running_mean"] is other["1.running_mean"]


def test_copies_of_a_model_are_independent(model):
    a, b = model.initial_state(0), model.initial_state(1)
    model.load(a)
    twin = copy.deepcopy(model)
    twin.load(b)
    assert same(model.state(), a)
    assert same(twin.state(), b)
    assert same(pickle.loads(pickle.dumps(model)).state(), a)


def test_state_survives_pickle_and_shares_on_deepcopy(model):
    state = model.initial_state(0)
    assert copy.deepcopy(state) is state
    assert same(pickle.loads(pickle.dumps(state)), state)


def test_state_of_another_model_is_refused(model):
    state = model.initial_state(0)
    wider = build_model(ModelConfig(options={"width": 9, "middle": 3}), (1, 8, 8), 10).initial_state(0)
    renamed = state.replace({1: {"x" + k: v for k, v in state.layers[1].items()}})
    for bad, message in [
        (ModelState(state.layers[:-1]), "found 4 layers, expected 5"),
        (wider, r"layer 0, '1.weight': found \(9, 64\), expected \(8, 64\)"),
        (renamed, "layer 1, 'linear.weight': found None"),
        (state.replace({1: {}}), r"layer 1: found \[\], expected"),
    ]:
        with pytest.raises(SnakegymError, match=message):
            model.load(bad)
