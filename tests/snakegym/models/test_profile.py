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
    return model, shape, profile_model(model, torch.zeros(shape))


def test_figures_are_the_same_where_gradients_are_off(case):
    """As in whoever plays with a policy, and loads a scenario there for the first time."""
    model, shape, profile = case
    with torch.no_grad():
        again = profile_model(model, torch.zeros(shape))
    for name, found in vars(profile).items():
        if isinstance(found, np.ndarray):
            np.testing.assert_array_equal(vars(again)[name], found, err_msg=name)


def test_figures_of_the_perceptron_by_hand():
    profile = profile_model(build_model(ModelConfig(), (1, 8, 8), 10), torch.zeros((1, 8, 8)))
    assert profile.n_bytes.tolist() == [4 * (64 * 64 + 64)] * 8 + [4 * (64 * 10 + 10)]
    assert profile.forward_flops.tolist() == [2 * 64 * 64] * 8 + [2 * 64 * 10]
    assert profile.activation_bytes.tolist() == [256] * 9  # the sample, and each ReLU's output once
    per_sample = 8192 * 8 + 1280 + 8192 * 7 + 1280 + 8192 * 2 + 1280
    assert profile.training_flops().tolist() == [per_sample] * 7


def test_figures_of_the_blocks_by_hand():
    profile = profile_model(build_model(ModelConfig(name="blocks"), (1, 8, 8), 10), torch.zeros((1, 8, 8)))
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
    profile = profile_model(build_model(ModelConfig(name="blocks"), (1, 8, 8), 10), torch.zeros((1, 8, 8)))
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


@pytest.mark.parametrize("trains", ["both-ends", "last", "middle"])
def test_training_flops_are_what_autograd_does(case, trains):
    model, shape, profile = case
    for middle in range(model.n_middle):
        model.requires_grad_(False)
        for i in profile.trained(trains).of(middle):
            model.layers[i].requires_grad_(True)
        with FlopCounterMode(display=False) as counter:
            model(torch.zeros(4, *shape)).sum().backward()
        assert profile.training_flops(trains)[middle] == pytest.approx(counter.get_total_flops() / 4)


@pytest.mark.parametrize("trains", ["both-ends", "last", "middle"])
def test_activations_are_those_that_a_hop_keeps(case, trains):
    """Of a whole hop in one go, from which the optimiser and all weights are taken off."""
    model, shape, profile = case
    learning = LearningConfig(trains=trains, batch_size=4, optimizer="sgd")
    for middle in range(model.n_middle):
        model.requires_grad_(False)
        trained = profile.trained(trains).of(middle)
        for i in trained:
            model.layers[i].requires_grad_(True)
        kept = kept_bytes(model, torch.zeros(4, *shape))
        weights = profile.n_bytes.sum() + profile.n_bytes[list(trained)].sum()
        assert profile.hop_memory(learning)[middle] - weights - profile.scratch_bytes.max() == kept


def kept_bytes(model, inputs):
    """What autograd keeps, each storage once, without the model's own tensors."""
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        x = inputs
        for layer in model.layers:
            x = layer(x)
    return sum(t.untyped_storage().nbytes() for at, t in kept.items() if at not in own)


def test_where_the_first_layer_is_frozen_a_hop_costs_the_less_the_later_its_layer():
    profile = profile_model(build_model(ModelConfig(), (1, 8, 8), 10), torch.zeros((1, 8, 8)))
    for trains in ("last", "middle"):
        flops = profile.training_flops(trains)
        assert np.diff(flops).tolist() == [-2 * 64 * 64] * 6, "one gradient of activations less"
        memory = profile.hop_memory(LearningConfig(trains=trains, batch_size=8))
        assert np.diff(memory).tolist() == [-8 * 256.0] * 6, "one layer's activations less"
    assert np.ptp(profile.training_flops("both-ends")) == 0


def test_parameters_are_counted(case):
    model, _, profile = case
    assert profile.n_parameters.tolist() == [
        sum(p.numel() for p in layer.parameters()) for layer in model.layers
    ]
    assert (profile.low_bytes["int8"] < profile.n_bytes).all()


def test_a_convolution_needs_room_for_its_weights_twice_more():
    layers = [nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 8, 3), nn.Conv2d(8, 2, 1)), nn.ReLU()]
    profile = profile_model(
        LayeredModel([*layers, nn.Sequential(nn.Flatten(), nn.Linear(32, 10))]), torch.zeros(1, 8, 8)
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
    profile_model(model, torch.zeros(shape))
    assert not any(p.requires_grad for p in model.parameters())
    assert modes == [m.training for m in model.modules()]
    assert all(torch.equal(a, b) for a, b in zip(before, model.state_dict().values(), strict=True))


def test_frozen_layers_keep_less():
    model = LayeredModel([nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)])
    profile = profile_model(model, torch.zeros((8,)))
    assert profile.activation_bytes.tolist() == [32, 32, 32]  # a product needs its input for its weights only
    assert profile.frozen_activation_bytes.tolist() == [0, 0, 0]
