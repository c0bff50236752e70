"""Language models as layers compute what transformers' own modules compute, and a hop trains a block."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch

from snakegym.data.datasets import Dataset
from snakegym.data.tasks import IGNORED, Language
from snakegym.errors import SnakegymError
from snakegym.learning.jobs import LocalTraining
from snakegym.learning.sequential import SequentialEngine
from snakegym.models.layered import LayeredModel
from snakegym.models.profile import profile_model
from snakegym.models.zoo import build_model
from snakegym.scenario import LearningConfig, ModelConfig

transformers = pytest.importorskip("transformers")

TOKENS, LENGTH = 31, 12
CASES = {
    "opt": ("opt", {"width": 16, "hidden": 32, "middle": 3, "heads": 2}),
    "llama": ("llama", {"width": 16, "hidden": 24, "middle": 3, "heads": 4, "key_heads": 2}),
    "tied": ("llama", {"width": 16, "hidden": 24, "middle": 3, "heads": 2, "key_heads": 1, "tied": True}),
}


@pytest.fixture(params=CASES)
def model(request: Any) -> LayeredModel:
    name, options = CASES[request.param]
    return build_model(ModelConfig(name=name, options=options), (LENGTH,), TOKENS, tokens=True)


def texts(n: int = 16) -> Dataset:
    """Every token is the one before it plus 3, from the middle of a text on to be learned."""
    g = torch.Generator().manual_seed(0)
    inputs = (torch.randint(TOKENS, (n, 1), generator=g) + 3 * torch.arange(LENGTH)) % TOKENS
    targets = (inputs + 3) % TOKENS
    targets[:, :4] = IGNORED
    return Dataset(inputs, targets, 2, Language(TOKENS), torch.arange(n) % 2)


def reference(model: LayeredModel, name: str, options: dict[str, Any]) -> Any:
    """transformers' whole model with the same parameters."""
    o = options
    common = {
        "vocab_size": TOKENS,
        "hidden_size": o["width"],
        "num_hidden_layers": o["middle"],
        "num_attention_heads": o["heads"],
        "max_position_embeddings": LENGTH,
        "pad_token_id": None,
        "attn_implementation": "sdpa",
    }
    if name == "opt":
        width = {"ffn_dim": o["hidden"], "word_embed_proj_dim": o["width"], "dropout": 0.0}
        whole = transformers.OPTForCausalLM(transformers.OPTConfig(**common, **width))
        body = whole.model.decoder
    else:
        extra = {"intermediate_size": o["hidden"], "num_key_value_heads": o["key_heads"]}
        tied = {"tie_word_embeddings": o.get("tied", False)}
        whole = transformers.LlamaForCausalLM(transformers.LlamaConfig(**common, **extra, **tied))
        body = whole.model
    layers = model.layers
    body.embed_tokens.load_state_dict(layers[0].tokens.state_dict())
    if name == "opt":
        body.embed_positions.load_state_dict(layers[0].positions.state_dict())
    for own, block in zip(body.layers, layers[1:-1], strict=True):
        own.load_state_dict(block.block.state_dict())
    (body.final_layer_norm if name == "opt" else body.norm).load_state_dict(layers[-1].norm.state_dict())
    whole.lm_head.load_state_dict(layers[-1].product.state_dict())
    return whole.eval()


@pytest.mark.parametrize("case", CASES)
def test_layers_compute_what_the_whole_model_does(case: str) -> None:
    name, options = CASES[case]
    model = build_model(ModelConfig(name=name, options=options), (LENGTH,), TOKENS, tokens=True)
    model.load(model.initial_state(3))
    inputs = texts().inputs
    with torch.no_grad():
        whole = reference(model, name, options)
        for length in (LENGTH, 5):
            expected = whole(input_ids=inputs[:, :length]).logits
            torch.testing.assert_close(model(inputs[:, :length]), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["opt", "llama"])
def test_blocks_of_their_own_size(name: str) -> None:
    options = {"width": 16, "heads": 2, "middle": 3, "hidden": 8}
    if name == "llama":
        options |= {"key_heads": 1}
    models = [
        build_model(ModelConfig(name=name, options=options | more), (LENGTH,), TOKENS, tokens=True)
        for more in ({"hidden_last": 32}, {"hidden": 8}, {"hidden": 16}, {"hidden": 32})
    ]
    grown, *equal = [profile_model(model, texts().inputs[0]).n_bytes.tolist() for model in models]
    assert grown[1:4] == [equal[0][1], equal[1][1], equal[2][1]], "8, 16 and 32 hidden features"
    models[0].load(models[0].initial_state(0))
    assert torch.isfinite(models[0](texts().inputs)).all()


def test_nobody_sees_what_comes_later(model: LayeredModel) -> None:
    model.load(model.initial_state(0))
    inputs = texts().inputs
    changed = inputs.clone()
    changed[:, 7:] = (changed[:, 7:] + 1) % TOKENS
    with torch.no_grad():
        torch.testing.assert_close(model(inputs)[:, :7], model(changed)[:, :7])


def test_states_begin_alike_and_at_a_size_that_suits(model: LayeredModel) -> None:
    before = torch.get_rng_state()
    state = model.initial_state(5)
    assert torch.equal(torch.get_rng_state(), before)
    twin = pickle.loads(pickle.dumps(copy.deepcopy(model))).initial_state(5)
    for layer, other in zip(state.layers, twin.layers, strict=True):
        assert all(torch.equal(layer[name], other[name]) for name in layer)
        assert all(torch.isfinite(tensor).all() for tensor in layer.values())
    model.load(state)
    with torch.no_grad():
        loss = float(Language(TOKENS).loss(model(texts().inputs), texts().targets))
    assert loss < 1.5 * np.log(TOKENS), "no surer of what is wrong than a model that knows nothing"


@pytest.mark.parametrize("trains", ["both-ends", "last", "middle"])
@pytest.mark.parametrize("frozen", ["fp32", "bf16", "int8", "nf4"])
def test_a_hop_trains_one_block(model: LayeredModel, trains: Any, frozen: Any) -> None:
    data, engine, state = texts(), SequentialEngine(model), model.initial_state(0)
    config = LearningConfig(trains=trains, batch_size=8, epochs=8, frozen=frozen)
    (before,) = engine.evaluate([state], data)
    for middle in (0, 2):
        (result,) = engine.train([LocalTraining(state, middle, data, torch.arange(16), config, 1e-2, 1)])
        rule = profile_model(model, data.inputs[0]).trained(trains)
        changed = [i for i in range(5) if result.state.layers[i] is not state.layers[i]]
        assert changed == list(rule.of(middle))
        for i in changed:
            for name, tensor in result.state.layers[i].items():
                assert not torch.equal(tensor, state.layers[i][name]), f"{i}, {name} got no gradient"
        (after,) = engine.evaluate([result.state], data)
        assert after.loss < before.loss
        assert after.score >= before.score
    assert not any(p.requires_grad or p.grad is not None for p in model.parameters())


@pytest.mark.parametrize("trains", ["both-ends", "last", "middle"])
def test_work_and_memory_are_those_of_a_hop(model: LayeredModel, trains: Any) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    data = texts(4)
    profile = profile_model(model, data.inputs[0])
    rule = profile.trained(trains)
    assert profile.output_bytes[-1] == 4 * LENGTH * TOKENS
    for middle in range(3):
        model.requires_grad_(False)
        for i in rule.of(middle):
            for parameter in model.parameters_of(i).values():
                parameter.requires_grad_(True)
        with FlopCounterMode(display=False) as counter:
            model(data.inputs).sum().backward()
        assert profile.training_flops(trains)[middle] == pytest.approx(counter.get_total_flops() / 4)
    model.requires_grad_(False)
    model.zero_grad()
    if 0 not in rule.ends:
        config = LearningConfig(trains=trains, batch_size=4)
        assert (np.diff(profile.training_flops(trains)) < 0).all()
        assert (np.diff(profile.hop_memory(config)) < 0).all()


def test_bytes_count_shared_weights_once() -> None:
    name, options = CASES["tied"]
    sizes = [
        profile_model(
            build_model(
                ModelConfig(name=name, options=options | {"tied": t}), (LENGTH,), TOKENS, tokens=True
            ),
            torch.zeros(LENGTH, dtype=torch.int64),
        ).n_bytes
        for t in (False, True)
    ]
    assert (sizes[0] - sizes[1]).tolist() == [0, 0, 0, 0, 4 * TOKENS * 16]


@pytest.mark.parametrize(
    ("config", "shape", "tokens", "message"),
    [
        ({"name": "opt"}, (1, 8, 8), False, "field 'model.name': found 'opt'"),
        ({"name": "mlp"}, (16,), True, "expected one of llama, opt"),
        ({"name": "opt", "options": {"width": 10, "heads": 4}}, (16,), True, "field 'model.options.width'"),
        ({"name": "llama", "options": {"width": 12, "heads": 4}}, (16,), True, "field 'model.options.width'"),
        (
            {"name": "llama", "options": {"heads": 4, "key_heads": 3}},
            (16,),
            True,
            "field 'model.options.heads'",
        ),
    ],
)
def test_what_does_not_fit_is_named(config: Any, shape: Any, tokens: bool, message: str) -> None:
    with pytest.raises(SnakegymError, match=message):
        build_model(ModelConfig(**config), shape, TOKENS, tokens=tokens)
