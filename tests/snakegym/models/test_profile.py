import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from snakegym.models.layered import LayeredModel
from snakegym.models.profile import profile_model
from snakegym.models.zoo import build_model
from snakegym.scenario import LearningConfig, ModelConfig

MODELS = [
    ("mlp", {}, (1, 8, 8)),
    ("blocks", {}, (1, 8, 8)),
    ("vgg", {}, (1, 8, 8)),
    ("vgg11", {"width": 0.125}, (3, 32, 32)),
]


@pytest.fixture(params=MODELS, ids=[m[0] for m in MODELS])
def case(request):
    name, options, shape = request.param
    model = build_model(ModelConfig(name=name, options=options), shape, 10)
    return model, shape, profile_model(model, shape)


def test_figures_of_the_perceptron_by_hand():
    profile = profile_model(build_model(ModelConfig(), (1, 8, 8), 10), (1, 8, 8))
    assert profile.n_bytes.tolist() == [4 * (64 * 64 + 64)] * 8 + [4 * (64 * 10 + 10)]
    assert profile.forward_flops.tolist() == [2 * 64 * 64] * 8 + [2 * 64 * 10]
    assert profile.activation_bytes.tolist() == [256] * 9  # the sample, and each ReLU's output once
    per_sample = 8192 * 8 + 1280 + 8192 * 7 + 1280 + 8192 * 2 + 1280
    assert profile.training_flops().tolist() == [per_sample] * 7


def test_figures_of_the_blocks_by_hand():
    profile = profile_model(build_model(ModelConfig(name="blocks"), (1, 8, 8), 10), (1, 8, 8))
    hidden = 8 * 2.0 ** np.arange(7)
    np.testing.assert_array_equal(profile.n_parameters[1:-1], 2 * 16 * hidden + hidden + 16)
    np.testing.assert_array_equal(profile.n_bytes[1:-1], 4 * (2 * 16 * hidden + hidden + 16))
    np.testing.assert_array_equal(profile.forward_flops[1:-1], 2 * 2 * 16 * hidden)
    # The trunk as it comes in (64 B) and the branch after its ReLU; frozen, the mask of the ReLU alone.
    np.testing.assert_array_equal(profile.activation_bytes[1:-1], 64 + 4 * hidden)
    np.testing.assert_array_equal(profile.frozen_activation_bytes[1:-1], 4 * hidden)
    ends = 2 * 16 * (64 + 10)
    everything = ends + 4 * 16 * hidden.sum()
    both_ways = everything + (everything - 2 * 16 * 64)  # no gradient of the samples
    np.testing.assert_array_equal(profile.training_flops(), both_ways + ends + 4 * 16 * hidden)


def test_blocks_differ_in_bytes_work_and_memory():
    profile = profile_model(build_model(ModelConfig(name="blocks"), (1, 8, 8), 10), (1, 8, 8))
    memory = profile.hop_memory(LearningConfig())
    for figures in (profile.n_bytes[1:-1], profile.forward_flops[1:-1], profile.training_flops(), memory):
        assert (np.diff(figures) > 0).all()
    assert profile.n_bytes[-2] > 30 * profile.n_bytes[1]
    assert memory[-1] > 1.2 * memory[0]


def test_shapes_and_signs(case):
    model, _, profile = case
    for figures in (profile.n_bytes, profile.forward_flops, profile.activation_bytes):
        assert figures.shape == (model.n_layers,)
        assert figures.dtype == np.float64
        assert (figures >= 0).all()
    for figures in (profile.training_flops(), profile.hop_memory(LearningConfig())):
        assert figures.shape == (model.n_middle,)
        assert (figures > 0).all()


def test_bytes_are_those_of_the_state(case):
    model, _, profile = case
    state = model.initial_state(0)
    assert profile.n_bytes.tolist() == [sum(t.nbytes for t in s.values()) for s in state.layers]


def test_training_flops_are_what_autograd_does(case):
    model, shape, profile = case
    for middle in range(model.n_middle):
        model.requires_grad_(False)
        for i in profile.trained(middle):
            model.layers[i].requires_grad_(True)
        with FlopCounterMode(display=False) as counter:
            model(torch.zeros(4, *shape)).sum().backward()
        assert profile.training_flops()[middle] == pytest.approx(counter.get_total_flops() / 4)


def test_backward_flops_are_those_of_each_layer_alone(case):
    model, shape, profile = case
    weights, inputs = profile.backward_flops()
    x = torch.zeros(4, *shape)
    for i, layer in enumerate(model.layers):
        cases = [(0, 1), (1, 1)]
        if sum(isinstance(m, nn.Linear | nn.Conv2d) for m in layer.modules()) == 1:
            cases.append((1, 0))  # else on their way through the layer they need more
        for by_weights, by_inputs in cases:
            if by_inputs and i == 0:
                assert inputs[0] == 0
                continue
            layer.requires_grad_(bool(by_weights))
            x = x.detach().requires_grad_(bool(by_inputs))
            y = layer(x)
            with FlopCounterMode(display=False) as counter:
                torch.autograd.grad(y.sum(), [*([x] * by_inputs), *(by_weights * [*layer.parameters()])])
            expected = by_weights * weights[i] + by_inputs * inputs[i]
            assert counter.get_total_flops() / 4 == pytest.approx(expected)
        x = y.detach()


def test_parameters_are_counted(case):
    model, _, profile = case
    assert profile.n_parameters.tolist() == [
        sum(p.numel() for p in layer.parameters()) for layer in model.layers
    ]
    assert (profile.int8_bytes < profile.n_bytes).all()


def test_a_convolution_needs_room_for_its_weights_twice_more():
    layers = [nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 8, 3), nn.Conv2d(8, 2, 1)), nn.ReLU()]
    profile = profile_model(
        LayeredModel([*layers, nn.Sequential(nn.Flatten(), nn.Linear(32, 10))]), (1, 8, 8)
    )
    assert profile.scratch_bytes.tolist() == [2 * 4 * 8 * 4 * 3 * 3, 0, 0]


def test_memory_grows_with_batch_and_optimiser(case):
    profile = case[2]
    memory = [
        profile.hop_memory(LearningConfig(batch_size=b, optimizer=o))
        for b, o in [(1, "sgd"), (1, "adam"), (2, "adam")]
    ]
    assert (np.diff(memory, axis=0) > 0).all()


def test_model_is_left_alone(case):
    model, shape, _ = case
    model.requires_grad_(False)
    modes = [m.training for m in model.modules()]
    before = [t.clone() for t in model.state_dict().values()]
    profile_model(model, shape)
    assert not any(p.requires_grad for p in model.parameters())
    assert modes == [m.training for m in model.modules()]
    assert all(torch.equal(a, b) for a, b in zip(before, model.state_dict().values(), strict=True))


def test_frozen_layers_keep_less():
    model = LayeredModel([nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)])
    profile = profile_model(model, (8,))
    assert profile.activation_bytes.tolist() == [32, 32, 32]  # a product needs its input for its weights only
    assert profile.frozen_activation_bytes.tolist() == [0, 0, 0]
