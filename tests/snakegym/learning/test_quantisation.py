from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm
from torch import nn

from snakegym.data.datasets import Dataset
from snakegym.learning import quantisation
from snakegym.learning.jobs import LocalTraining
from snakegym.learning.quantisation import loaded, low_state
from snakegym.learning.sequential import SequentialEngine
from snakegym.models.frozen.precision import NF4, SCALE, decode, encode, low_bytes
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


LOW = ["bf16", "int8", "nf4"]


@pytest.fixture(params=MODELS, ids=[m[0] for m in MODELS])
def model(request):
    name, options, shape = request.param
    return build_model(ModelConfig(name=name, options=options), shape, 10)


@pytest.fixture(params=LOW)
def precision(request):
    return request.param


def images(n=12):
    g = torch.Generator().manual_seed(0)
    return Dataset(torch.randn(n, 1, 8, 8, generator=g), torch.randint(10, (n,), generator=g), 10)


def job(model, **learning):
    config = LearningConfig(batch_size=5, **learning)
    return LocalTraining(model.initial_state(0), 1, images(), torch.arange(12), config, 0.01, 3)


def there_and_back(weight, precision):
    return decode(*encode(weight, precision), weight.shape[1:])


def cast_up(model, state, layers, precision):
    """The state with these layers in low precision and back in float32, written out."""
    changed = {}
    for i in layers:
        tensors = dict(state.layers[i])
        for name in quantisable_weights(model.layers[i]):
            tensors[name] = there_and_back(tensors[name], precision)
        changed[i] = tensors
    return state.replace(changed)


@given(arrays("float32", (3, 2, 2), elements=st.floats(-1e6, 1e6, width=32)))
def test_error_is_at_most_half_a_step(array):
    weight = torch.from_numpy(array)
    values, scale = encode(weight, "int8")
    assert values.dtype == torch.int8
    assert values.shape == weight.shape
    assert int(values.abs().max()) <= 127
    error = (decode(values, scale, weight.shape[1:]) - weight).abs().flatten(1).amax(1)
    assert (error <= scale * 0.5001).all()


def test_known_values():
    values, scale = encode(torch.tensor([[1.27, -0.5], [0.0, 0.0], [-254.0, 3.0]]), "int8")
    assert scale.tolist() == pytest.approx([0.01, 1.0, 2.0])
    assert values.tolist() == [[127, -50], [0, 0], [-127, 2]]  # 1.5 rounds to even


def test_the_numbers_of_nf4_are_quantiles_of_a_normal_distribution():
    """As arXiv:2305.14314 makes them: eight above 0, seven below, and 0 itself, scaled to 1."""
    outermost = 0.9677083
    above = norm.ppf(np.linspace(outermost, 0.5, 9)[:-1])
    below = -norm.ppf(np.linspace(outermost, 0.5, 8)[:-1])
    expected = np.sort([*above, 0.0, *below]) / above.max()
    np.testing.assert_allclose(NF4, expected, atol=1e-6)


@given(arrays("float32", (3, 3, 23), elements=st.floats(-1e6, 1e6, width=32)))
def test_nf4_takes_the_nearest_number_of_each_block(array):
    weight = torch.from_numpy(array)
    values, scale = encode(weight, "nf4")
    assert (values.dtype, values.shape, scale.shape) == (torch.uint8, (3, 35), (3, 2))
    found = decode(values, scale, weight.shape[1:]).flatten(1)
    for row, back in zip(weight.flatten(1), found, strict=True):
        for block, own in ((row[:64], back[:64]), (row[64:], back[64:])):
            largest = block.abs().max() if block.abs().max() > 1e-30 else torch.tensor(1.0)
            nearest = (block[:, None] - largest * torch.tensor(NF4)).abs().min(1).values
            assert ((own - block).abs() <= nearest + 1e-6 * largest).all()


def test_nf4_of_a_normal_weight_is_off_by_a_tenth_of_it():
    weight = torch.randn(64, 256, generator=torch.Generator().manual_seed(0))
    error = (there_and_back(weight, "nf4") - weight).square().mean().sqrt()
    assert 0.08 < error < 0.1


@pytest.mark.parametrize("shape", [(5, 7), (4, 64), (3, 130), (6, 3, 3, 3)])
def test_bytes_are_those_of_the_formula(shape, precision):
    weight = torch.randn(shape)
    values, scale = encode(weight, precision)
    n_bytes = values.nbytes + (0 if scale is None else scale.nbytes)
    assert n_bytes == low_bytes(shape[0], weight[0].numel(), precision)
    assert there_and_back(weight, precision).shape == shape


def test_rows_are_made_in_pieces_all_the_same(precision, monkeypatch):
    weight = torch.randn(50, 70)
    whole = there_and_back(weight, precision)
    monkeypatch.setattr("snakegym.models.frozen.precision.CAST_BYTES", 1000)
    assert torch.equal(there_and_back(weight, precision), whole)


def test_outputs_and_gradients_are_those_of_the_weights_cast_up(model, precision):
    state, frozen = model.initial_state(0), range(1, model.n_layers)
    inputs = images().inputs

    def run():
        parameters = [p.requires_grad_(True) for p in model.parameters_of(0).values()]
        outputs = model(inputs)
        return outputs.detach(), torch.autograd.grad(outputs.square().sum(), parameters)

    with loaded(model, low_state(model, state, frozen, precision)):
        found, gradients = run()
    model.load(cast_up(model, state, frozen, precision))
    expected, by_autograd = run()
    torch.testing.assert_close(found, expected)
    for a, b in zip(gradients, by_autograd, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("size", [4, 300, 5000])
def test_blocks_make_no_difference(model, size, precision, monkeypatch):
    task = job(model, frozen=precision)
    (whole,) = SequentialEngine(model).train([task])
    monkeypatch.setattr("snakegym.models.frozen.precision.CAST_BYTES", size)
    (blocks,) = SequentialEngine(model).train([task])
    assert blocks.loss == pytest.approx(whole.loss, rel=1e-5)


def test_a_large_frozen_layer_needs_little_room():
    """4 MiB for the block, whatever the layer's size; the formula by hand."""
    found = hop_memory([10, 4e8, 10], [0, 0, 0], (0, 2), 1, "sgd", frozen_bytes=[10, 1e8, 10])
    assert found == 20 + 1e8 + 20 + 2**22


def test_strides_groups_and_gaps_are_kept(precision):
    model = LayeredModel(
        [
            nn.Conv2d(1, 2, 3, dilation=2),
            nn.Conv2d(2, 4, 3, 2, padding=1, groups=2),
            nn.Sequential(nn.Flatten(), nn.Linear(16, 3)),
        ]
    )
    state, inputs = model.initial_state(0), images().inputs.requires_grad_(True)
    with loaded(model, low_state(model, state, (0, 1, 2), precision)):
        (found,) = torch.autograd.grad(model(inputs).square().sum(), inputs)
    model.load(cast_up(model, state, (0, 1, 2), precision))
    (expected,) = torch.autograd.grad(model(inputs).square().sum(), inputs)
    torch.testing.assert_close(found, expected)


def test_training_equals_training_beside_weights_cast_up(model, precision):
    task = job(model, frozen=precision)
    (result,) = SequentialEngine(model).train([task])
    frozen = [i for i in range(model.n_layers) if i not in (0, 2, model.n_layers - 1)]
    plain = job(model)
    plain = LocalTraining(
        cast_up(model, plain.state, frozen, precision), 1, plain.data, plain.indices, plain.config, 0.01, 3
    )
    (expected,) = SequentialEngine(model).train([plain])
    for i in (0, 2, model.n_layers - 1):
        for name, tensor in expected.state.layers[i].items():
            torch.testing.assert_close(result.state.layers[i][name], tensor)
            assert result.state.layers[i][name].dtype == torch.float32


def test_what_is_handed_on_keeps_its_frozen_layers(model, precision):
    task = job(model, frozen=precision)
    (result,) = SequentialEngine(model).train([task])
    for i in range(model.n_layers):
        assert (result.state.layers[i] is task.state.layers[i]) == (i not in (0, 2, model.n_layers - 1))


def test_engine_is_as_before_afterwards(model):
    engine, task = SequentialEngine(model), job(model)
    (before,) = engine.train([task])
    engine.train([job(model, frozen="int8")])
    (after,) = engine.train([task])
    assert before.loss == after.loss
    assert not any("forward" in vars(m) for m in model.modules())


def test_a_node_may_hold_low_layers_alone(model, precision):
    engine, task = SequentialEngine(model), job(model, frozen=precision)
    frozen = [i for i in range(model.n_layers) if i not in (0, 2, model.n_layers - 1)]
    stored = low_state(model, task.state, frozen, precision)
    fields = {k: getattr(task, k) for k in ("middle", "data", "indices", "config", "learning_rate", "seed")}
    (found,) = engine.train([LocalTraining(stored, **fields)])
    (expected,) = engine.train([task])
    assert found.loss == expected.loss


def test_stored_bytes_are_those_of_the_formula(model, precision):
    learning = LearningConfig(frozen=precision)
    profile = profile_model(model, torch.zeros((1, 8, 8)))
    for middle in range(model.n_middle):
        frozen = set(range(model.n_layers)) - set(profile.trained().of(middle))
        stored = low_state(model, model.initial_state(0), frozen, precision)
        n_bytes = sum(t.nbytes for layer in stored.layers for t in layer.values())
        assert profile.weight_bytes(learning)[middle] == n_bytes
        assert n_bytes < profile.weight_bytes(LearningConfig())[middle] == profile.n_bytes.sum()


def test_memory_falls_by_what_int8_saves_less_what_is_cast_up(model):
    profile = profile_model(model, torch.zeros((1, 8, 8)))
    plain, int8 = LearningConfig(), LearningConfig(frozen="int8")
    saved = profile.hop_memory(plain) - profile.hop_memory(int8)
    for middle in range(model.n_middle):
        frozen = [i for i in range(model.n_layers) if i not in profile.trained().of(middle)]
        expected = (profile.n_bytes - profile.low_bytes["int8"])[frozen].sum() - profile.n_bytes[frozen].max()
        assert saved[middle] == expected


def test_weights_used_elsewhere_stay():
    attention = nn.MultiheadAttention(4, 1)
    assert quantisable_weights(attention) == {}
    block = nn.Sequential(nn.Linear(2, 2), nn.Conv2d(1, 1, 3, padding="same"), nn.Conv1d(1, 1, 1))
    assert set(quantisable_weights(block)) == {"0.weight"}
    assert "0.weight" + SCALE not in block.state_dict()


def test_frozen_layers_are_brought_into_low_precision_once(model, precision, monkeypatch):
    """Not at each hop: layers that are the same as at the last are kept as they were made."""
    engine, task = SequentialEngine(model), job(model, frozen=precision)
    made = []
    encode_ = quantisation.encode
    monkeypatch.setattr(quantisation, "encode", lambda w, p: made.append(tuple(w.shape)) or encode_(w, p))
    (first,) = engine.train([task])
    weights = [len(model.quantisable_of(i)) for i in range(model.n_layers)]
    once = sum(weights) - weights[0] - weights[2] - weights[-1]
    assert len(made) == once
    engine.train([task])
    engine.evaluate([task.state], task.data)
    assert len(made) == once
    engine.train([replace(task, state=first.state, middle=0)])
    assert len(made) == once + weights[2], "the layer that was trained is now frozen"


@pytest.mark.parametrize("tied", [False, True])
def test_an_embedding_is_looked_up_row_by_row_and_shared_with_the_head(tied, precision):
    embedding, head = nn.Embedding(11, 6), nn.Linear(6, 11, bias=False)
    if tied:
        head.weight = embedding.weight
    model = LayeredModel([embedding, nn.Linear(6, 6), head])
    state, tokens = model.initial_state(0), torch.tensor([[1, 4], [10, 0]])
    frozen = [0, 1] if tied else [0, 1, 2]
    with loaded(model, low_state(model, state, frozen, precision)), torch.no_grad():
        found = model(tokens)
    model.load(cast_up(model, state, frozen, precision))
    torch.testing.assert_close(found, model(tokens))
    sizes = profile_model(model, tokens[0]).low_bytes[precision]
    assert sizes[-1] == (0 if tied else low_bytes(11, 6, precision))


@pytest.mark.parametrize("kind", ["both-ends", "middle"])
def test_what_comes_before_the_trained_layers_is_computed_once(model, kind, monkeypatch):
    task = job(model, trains=kind, epochs=3)
    calls = []
    hook = model.layers[0].register_forward_hook(lambda *_: calls.append(1))
    (found,) = SequentialEngine(model).train([task])
    hook.remove()
    assert len(calls) == (9 if kind == "both-ends" else 3)
    place = LearningConfig.same_passes
    monkeypatch.setattr(LearningConfig, "same_passes", 1)
    (expected,) = SequentialEngine(model).train([task])
    monkeypatch.setattr(LearningConfig, "same_passes", place)
    assert found.loss == pytest.approx(expected.loss, rel=1e-4)
    profile = profile_model(model, task.data.inputs[0])
    flops, kept = profile.training_flops(kind, same_passes=3), profile.kept_bytes(task.config)
    saved = np.cumsum(profile.forward_flops)[:-2] if kind == "middle" else 0.0
    np.testing.assert_allclose(profile.training_flops(kind) - flops, saved * np.float64(2 / 3))
    assert (kept == (profile.output_bytes[:-2] if kind == "middle" else 0)).all()
