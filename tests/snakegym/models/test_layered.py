import copy
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations

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


class Own(nn.Module):
    """Parameters of its own and no `reset_parameters`: a scale, an offset, a drawn table, a counter."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.full((4,), 0.1))
        self.offset = nn.Parameter(torch.zeros(4))
        self.table = nn.Parameter(torch.randn(1, 3, 4))
        self.single = nn.Parameter(torch.rand(5))
        self.steps = nn.Parameter(torch.arange(3), requires_grad=False)


class Forgetful(nn.Module):
    """Its `reset_parameters` starts one of its two parameters."""

    def __init__(self):
        super().__init__()
        self.known, self.forgotten = nn.Parameter(torch.empty(4, 4)), nn.Parameter(torch.randn(4, 4))
        self.reset_parameters()

    def reset_parameters(self):
        nn.init.uniform_(self.known)


MODULES = {
    "linear": lambda: nn.Linear(4, 4),
    "convolution": lambda: nn.Conv2d(2, 4, 3),
    "transposed": lambda: nn.ConvTranspose1d(2, 4, 3),
    "attention": lambda: nn.MultiheadAttention(4, 2, add_bias_kv=True),
    "narrow attention": lambda: nn.MultiheadAttention(4, 2, kdim=3, vdim=5),
    "encoder": lambda: nn.TransformerEncoderLayer(4, 2, 8),
    "lstm": lambda: nn.LSTM(4, 4),
    "embedding": lambda: nn.Embedding(5, 4),
    "norm": lambda: nn.BatchNorm1d(4),
    "prelu": lambda: nn.PReLU(),
    "weight norm": lambda: parametrizations.weight_norm(nn.Linear(4, 4)),
    "own": Own,
    "list": lambda: nn.ParameterList([torch.randn(4, 4), torch.ones(2)]),
    "forgetful": Forgetful,
}
DRAWN = set(MODULES) - {"norm", "prelu"}


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from(sorted(MODULES)), min_size=3, max_size=5), st.integers(0, 2**31 - 1))
def test_initial_state_of_any_modules_depends_on_the_seed_alone(names, seed):
    states = []
    for history in (1, 2):
        torch.manual_seed(history)
        model = LayeredModel([MODULES[name]() for name in names])
        for tensor in tensors(model.state()):
            tensor.fill_(history)  # as if something else had been trained and loaded
        states.append((model.initial_state(seed), model.initial_state(seed + 1)))
    (first, other), (second, _) = states
    assert same(first, second)
    assert all(tensor.isfinite().all() for tensor in tensors(first))
    for name, a, b in zip(names, first.layers, other.layers, strict=True):
        assert name not in DRAWN or any(not torch.equal(a[key], b[key]) for key in a)


def test_parameters_of_no_known_kind_are_drawn_or_stay_as_they_were_made():
    model = LayeredModel([nn.Linear(4, 4), Own(), Forgetful(), nn.MultiheadAttention(64, 2)])
    _, own, forgetful, attention = model.initial_state(3).layers
    assert torch.equal(own["scale"], torch.full((4,), 0.1))
    assert torch.equal(own["offset"], torch.zeros(4))
    assert own["steps"].tolist() == [0, 1, 2]
    assert 0 < float(own["table"].std()) < 1
    assert 0 <= float(forgetful["known"].min()) <= float(forgetful["known"].max()) <= 1
    again = model.initial_state(4).layers
    for before, after, name in [
        (own, again[1], "table"),
        (own, again[1], "single"),
        (forgetful, again[2], "forgotten"),
        (attention, again[3], "in_proj_weight"),
    ]:
        assert not torch.equal(before[name], after[name])


def test_buffers_that_were_drawn_are_part_of_the_architecture():
    class Features(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("frequencies", torch.randn(4))

    model = LayeredModel([nn.Linear(4, 4), Features(), nn.Linear(4, 4)])
    made = model.layers[1].frequencies.clone()
    model.load(model.state().replace({1: {"frequencies": torch.zeros(4)}}))
    assert torch.equal(model.initial_state(0).layers[1]["frequencies"], made)


def test_global_generator_untouched_by_building_and_initialising():
    before = torch.get_rng_state()
    for name, shape in (
        ("mlp", (1, 8, 8)),
        ("blocks", (1, 8, 8)),
        ("vgg", (1, 8, 8)),
        ("vgg11", (3, 32, 32)),
    ):
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


class Head(nn.Module):
    """Scores features against the embedding that they began with."""

    def __init__(self, embedding):
        super().__init__()
        self.product = nn.Linear(6, 9)
        self.product.weight = embedding.weight

    def forward(self, inputs):
        return self.product(inputs)


def tied():
    embedding = nn.Embedding(9, 6)
    return LayeredModel([embedding, nn.Linear(6, 6), nn.Linear(6, 6), Head(embedding)])


def test_parameters_of_the_first_layer_that_the_last_computes_with_are_the_first_ones():
    model = tied()
    assert model.tied
    state = model.initial_state(0)
    assert [sorted(layer) for layer in state.layers] == [
        ["weight"],
        *[["bias", "weight"]] * 2,
        ["product.bias"],
    ]
    assert same(model.initial_state(0), state)
    plain = LayeredModel([nn.Embedding(9, 6), nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 9)])
    assert not plain.tied
    assert torch.equal(state.layers[0]["weight"], plain.initial_state(0).layers[0]["weight"])
    model.load(state)
    tokens = torch.arange(9)
    last = state.layers[0]["weight"].T
    features = tokens
    for layer in model.layers[:-1]:
        features = layer(features)
    torch.testing.assert_close(model(tokens), features @ last)
    twin = copy.deepcopy(model)
    assert twin.tied
    assert same(twin.initial_state(3), model.initial_state(3))


def test_other_layers_share_nothing():
    one = nn.Linear(4, 4)
    two = nn.Linear(4, 4)
    two.bias = one.bias
    with pytest.raises(SnakegymError, match=r"layer 2 shares its parameter '0\.bias' with layer 1"):
        LayeredModel([nn.Linear(4, 4), one, nn.Sequential(two), nn.Linear(4, 4)])
