import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from snakegym.data.datasets import Dataset
from snakegym.learning import quantisation
from snakegym.learning.jobs import LocalTraining
from snakegym.learning.quantisation import (
    SCALE,
    dequantise,
    loaded,
    quantise,
    quantise_state,
)
from snakegym.learning.sequential import SequentialEngine
from snakegym.models.layered import LayeredModel
from snakegym.models.profile import profile_model
from snakegym.models.quantisable import quantisable_weights
from snakegym.models.zoo import build_model
from snakegym.network.costs import hop_memory
from snakegym.scenario import LearningConfig, ModelConfig

MODELS = [
    ("mlp", {"width": 16, "middle": 3}, (1, 8, 8)),
    ("blocks", {"middle": 3, "largest": 32}, (1, 8, 8)),
    ("vgg", {"width": 4}, (1, 8, 8)),
]


@pytest.fixture(params=MODELS, ids=[m[0] for m in MODELS])
def model(request):
    name, options, shape = request.param
    return build_model(ModelConfig(name=name, options=options), shape, 10)


def images(n=12):
    g = torch.Generator().manual_seed(0)
    return Dataset(torch.randn(n, 1, 8, 8, generator=g), torch.randint(10, (n,), generator=g), 10)


def job(model, **learning):
    config = LearningConfig(batch_size=5, **learning)
    return LocalTraining(model.initial_state(0), 1, images(), torch.arange(12), config, 0.01, 3)


def cast_up(model, state, layers):
    """The state with these layers quantised and back in float32, written out."""
    changed = {}
    for i in layers:
        tensors = dict(state.layers[i])
        for name in quantisable_weights(model.layers[i]):
            tensors[name] = dequantise(*quantise(tensors[name]))
        changed[i] = tensors
    return state.replace(changed)


@given(arrays("float32", (3, 2, 2), elements=st.floats(-1e6, 1e6, width=32)))
def test_error_is_at_most_half_a_step(array):
    weight = torch.from_numpy(array)
    values, scale = quantise(weight)
    assert values.dtype == torch.int8
    assert values.shape == weight.shape
    assert int(values.abs().max()) <= 127
    error = (dequantise(values, scale) - weight).abs().flatten(1).amax(1)
    assert (error <= scale * 0.5001).all()


def test_known_values():
    values, scale = quantise(torch.tensor([[1.27, -0.5], [0.0, 0.0], [-254.0, 3.0]]))
    assert scale.tolist() == pytest.approx([0.01, 1.0, 2.0])
    assert values.tolist() == [[127, -50], [0, 0], [-127, 2]]  # 1.5 rounds to even


def test_outputs_and_gradients_are_those_of_the_weights_cast_up(model):
    state, frozen = model.initial_state(0), range(1, model.n_layers)
    inputs = images().inputs

    def run():
        parameters = [p.requires_grad_(True) for p in model.parameters_of(0).values()]
        outputs = model(inputs)
        return outputs.detach(), torch.autograd.grad(outputs.square().sum(), parameters)

    with loaded(model, state, frozen):
        found, gradients = run()
    model.load(cast_up(model, state, frozen))
    expected, by_autograd = run()
    torch.testing.assert_close(found, expected)
    for a, b in zip(gradients, by_autograd, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("size", [4, 300, 5000])
def test_blocks_make_no_difference(model, size, monkeypatch):
    task = job(model, quantise_frozen=True)
    (whole,) = SequentialEngine(model).train([task])
    monkeypatch.setattr(quantisation, "CAST_BYTES", size)
    (blocks,) = SequentialEngine(model).train([task])
    assert blocks.loss == pytest.approx(whole.loss, rel=1e-5)


def test_a_large_frozen_layer_needs_little_room():
    """4 MiB for the block, whatever the layer's size; the formula by hand."""
    found = hop_memory([10, 4e8, 10], [0, 0, 0], (0, 2), 1, "sgd", frozen_bytes=[10, 1e8, 10])
    assert found == 20 + 1e8 + 20 + 2**22


def test_strides_groups_and_gaps_are_kept():
    model = LayeredModel(
        [
            nn.Conv2d(1, 2, 3, dilation=2),
            nn.Conv2d(2, 4, 3, 2, padding=1, groups=2),
            nn.Sequential(nn.Flatten(), nn.Linear(16, 3)),
        ]
    )
    state, inputs = model.initial_state(0), images().inputs.requires_grad_(True)
    with loaded(model, state, (0, 1, 2)):
        (found,) = torch.autograd.grad(model(inputs).square().sum(), inputs)
    model.load(cast_up(model, state, (0, 1, 2)))
    (expected,) = torch.autograd.grad(model(inputs).square().sum(), inputs)
    torch.testing.assert_close(found, expected)


def test_training_equals_training_beside_weights_cast_up(model):
    task = job(model, quantise_frozen=True)
    (result,) = SequentialEngine(model).train([task])
    frozen = [i for i in range(model.n_layers) if i not in (0, 2, model.n_layers - 1)]
    plain = job(model)
    plain = LocalTraining(
        cast_up(model, plain.state, frozen), 1, plain.data, plain.indices, plain.config, 0.01, 3
    )
    (expected,) = SequentialEngine(model).train([plain])
    for i in (0, 2, model.n_layers - 1):
        for name, tensor in expected.state.layers[i].items():
            torch.testing.assert_close(result.state.layers[i][name], tensor)
            assert result.state.layers[i][name].dtype == torch.float32


def test_what_is_handed_on_keeps_its_frozen_layers(model):
    task = job(model, quantise_frozen=True)
    (result,) = SequentialEngine(model).train([task])
    for i in range(model.n_layers):
        assert (result.state.layers[i] is task.state.layers[i]) == (i not in (0, 2, model.n_layers - 1))


def test_engine_is_as_before_afterwards(model):
    engine, task = SequentialEngine(model), job(model)
    (before,) = engine.train([task])
    engine.train([job(model, quantise_frozen=True)])
    (after,) = engine.train([task])
    assert before.loss == after.loss
    assert not any("forward" in vars(m) for m in model.modules())


def test_a_node_may_hold_int8_layers_alone(model):
    engine, task = SequentialEngine(model), job(model, quantise_frozen=True)
    frozen = [i for i in range(model.n_layers) if i not in (0, 2, model.n_layers - 1)]
    stored = quantise_state(model, task.state, frozen)
    fields = {k: getattr(task, k) for k in ("middle", "data", "indices", "config", "learning_rate", "seed")}
    (found,) = engine.train([LocalTraining(stored, **fields)])
    (expected,) = engine.train([task])
    assert found.loss == expected.loss


def test_stored_bytes_are_those_of_the_formula(model):
    learning = LearningConfig(quantise_frozen=True)
    profile = profile_model(model, torch.zeros((1, 8, 8)))
    for middle in range(model.n_middle):
        frozen = set(range(model.n_layers)) - set(profile.trained().of(middle))
        stored = quantise_state(model, model.initial_state(0), frozen)
        n_bytes = sum(t.nbytes for layer in stored.layers for t in layer.values())
        assert profile.weight_bytes(learning)[middle] == n_bytes
        assert n_bytes < profile.weight_bytes(LearningConfig())[middle] == profile.n_bytes.sum()


def test_memory_falls_by_what_int8_saves_less_what_is_cast_up(model):
    profile = profile_model(model, torch.zeros((1, 8, 8)))
    plain, int8 = LearningConfig(), LearningConfig(quantise_frozen=True)
    saved = profile.hop_memory(plain) - profile.hop_memory(int8)
    for middle in range(model.n_middle):
        frozen = [i for i in range(model.n_layers) if i not in profile.trained().of(middle)]
        expected = (profile.n_bytes - profile.int8_bytes)[frozen].sum() - profile.n_bytes[frozen].max()
        assert saved[middle] == expected


def test_weights_used_elsewhere_stay():
    attention = nn.MultiheadAttention(4, 1)
    assert quantisable_weights(attention) == {}
    block = nn.Sequential(nn.Linear(2, 2), nn.Conv2d(1, 1, 3, padding="same"), nn.Conv1d(1, 1, 1))
    assert set(quantisable_weights(block)) == {"0.weight"}
    assert "0.weight" + SCALE not in block.state_dict()
