"""Models come from folders of transformers, and go to such folders, which it loads by itself."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from snakegym.data.datasets import Dataset
from snakegym.data.tasks import Language
from snakegym.data.text import ANSWER, encode, train_tokenizer
from snakegym.errors import SnakegymError
from snakegym.learning.export import ADAPTERS, export_model
from snakegym.learning.jobs import LocalTraining
from snakegym.learning.quantisation import as_handed_on, loaded
from snakegym.learning.sequential import SequentialEngine
from snakegym.models.layered import LayeredModel
from snakegym.models.state import ModelState
from snakegym.models.zoo import build_model
from snakegym.scenario import LearningConfig, LoraConfig, ModelConfig

transformers = pytest.importorskip("transformers")
LENGTH = 16
KINDS: dict[str, Any] = {
    "opt": {"width": 32, "hidden": 64, "middle": 2, "heads": 2},
    "llama": {"width": 32, "hidden": 48, "middle": 2, "heads": 4, "key_heads": 2, "tied": True},
}
PAIRS = [(f"What is {i}?", f"{i}, my dear.") for i in range(10, 26)]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer(PAIRS, 300)


@pytest.fixture(params=KINDS)
def kind(request: Any) -> str:
    return str(request.param)


def build(kind: str, tokenizer: Any, weights: Path | None = None, **options: Any) -> LayeredModel:
    own = options if weights else KINDS[kind]
    config = ModelConfig(name=kind, options=own, weights=None if weights is None else str(weights))
    return build_model(config, (LENGTH,), tokenizer.get_vocab_size(), tokens=True)


def texts(tokenizer: Any) -> Dataset:
    inputs, targets = encode(tokenizer, PAIRS, LENGTH)
    return Dataset(inputs, targets, 1, Language(tokenizer.get_vocab_size()), torch.zeros(16).long())


def trained(model: LayeredModel, data: Dataset, hops: int, **learning: Any) -> ModelState:
    config = LearningConfig(**{"trains": "both-ends", "batch_size": 8, "epochs": 4, **learning})
    engine, rank = SequentialEngine(model), 4 if config.lora else None
    state = as_handed_on(model, model.initial_state(0), config)
    for hop in range(hops):
        job = LocalTraining(state, hop % 2, data, torch.arange(16), config, 1e-2, hop, rank=rank)
        state = engine.train([job])[0].state
    return state


def logits(model: LayeredModel, state: ModelState, inputs: torch.Tensor) -> torch.Tensor:
    with torch.no_grad(), loaded(model, state):
        return model(inputs)


def test_an_exported_model_answers(kind: str, tokenizer: Any, tmp_path: Path) -> None:
    model, data = build(kind, tokenizer), texts(tokenizer)
    state = trained(model, data, 16)
    export_model(model, state, tmp_path / "out", tokenizer)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    network = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    with torch.no_grad():
        found = network(input_ids=data.inputs).logits
    torch.testing.assert_close(found, logits(model, state, data.inputs), rtol=1e-4, atol=1e-4)
    asked = theirs("What is 17?" + ANSWER, return_tensors="pt")
    said = network.generate(**asked, max_new_tokens=12, do_sample=False)[0, asked["input_ids"].shape[1] :]
    assert theirs.decode(said, skip_special_tokens=True).endswith("my dear.")


def test_a_model_begins_with_the_weights_of_its_folder(kind: str, tokenizer: Any, tmp_path: Path) -> None:
    model, data = build(kind, tokenizer), texts(tokenizer)
    state = trained(model, data, 2)
    export_model(model, state, tmp_path / "out", tokenizer)
    again = build(kind, tokenizer, tmp_path / "out")
    assert again.tied == model.tied
    for seed in (0, 1):
        for one, other in zip(again.initial_state(seed).layers, state.layers, strict=True):
            assert one.keys() == other.keys()
            assert all(torch.equal(one[name], other[name]) for name in one)
    assert again.initial_state(0) is again.initial_state(5)
    fewer = build_model(ModelConfig(name=kind, weights=str(tmp_path / "out")), (LENGTH,), 270, tokens=True)
    found = logits(fewer, fewer.initial_state(0), data.inputs.clamp(max=269))
    expected = logits(model, state, data.inputs.clamp(max=269))[..., :270]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("frozen", ["bf16", "nf4"])
def test_adapters_beside_a_base_in_low_precision_are_loaded_by_peft(
    kind: str, tokenizer: Any, tmp_path: Path, frozen: str
) -> None:
    peft = pytest.importorskip("peft")
    model, data = build(kind, tokenizer), texts(tokenizer)
    state = trained(model, data, 3, trains="middle", frozen=frozen, lora=LoraConfig(rank=4))
    export_model(model, state, tmp_path / "out")
    base = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    with torch.no_grad():
        before = base(input_ids=data.inputs).logits
        whole = peft.PeftModel.from_pretrained(base, tmp_path / "out" / ADAPTERS)
        found = whole(input_ids=data.inputs).logits
    expected = logits(model, state, data.inputs)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    assert (before - expected).abs().max() > 0.05


def test_what_adapters_added_to_weights_is_in_the_weights(kind: str, tokenizer: Any, tmp_path: Path) -> None:
    model, data = build(kind, tokenizer), texts(tokenizer)
    state = trained(model, data, 2, trains="last", lora=LoraConfig(rank=4))
    export_model(model, state, tmp_path / "out")
    assert not (tmp_path / "out" / ADAPTERS).exists()
    network = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    with torch.no_grad():
        found = network(input_ids=data.inputs).logits
    torch.testing.assert_close(found, logits(model, state, data.inputs), rtol=1e-4, atol=1e-4)


def test_nothing_is_overwritten_nor_half_written(tokenizer: Any, tmp_path: Path, monkeypatch: Any) -> None:
    model = build("opt", tokenizer)
    (tmp_path / "out").mkdir()
    with pytest.raises(SnakegymError, match="out: found something there, expected a new folder"):
        export_model(model, model.initial_state(0), tmp_path / "out")
    mlp = build_model(ModelConfig(), (1, 8, 8), 10)
    with pytest.raises(SnakegymError, match="no language model, expected opt or llama"):
        export_model(mlp, mlp.initial_state(0), tmp_path / "new")

    def full(*_: Any, **__: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(transformers.OPTForCausalLM, "save_pretrained", full)
    with pytest.raises(SnakegymError, match="new: cannot write the model: No space left"):
        export_model(model, model.initial_state(0), tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def change(**fields: Any) -> Any:
    def apply(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return apply


def half(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def without_a_block(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    kept = {name: t for name, t in tensors.items() if ".layers.1.fc1" not in name}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    ("damage", "options", "message"),
    [
        (shutil.rmtree, {}, r"'model.weights': found no config.json in .*out"),
        (lambda f: (f / "config.json").unlink(), {}, "found no config.json in"),
        (lambda f: (f / "model.safetensors").unlink(), {}, "cannot read the model in .*out: "),
        (half, {}, "cannot read the model in .*out: "),
        (without_a_block, {}, r"found no 'model.decoder.layers.1.fc1.bias' .* \(2 in all .* half copied"),
        (change(model_type="gpt2"), {}, "found a model of type 'gpt2' in .*, expected 'opt'"),
        (change(hidden_size=16, word_embed_proj_dim=16), {}, "cannot read the model in|right shape"),
        (change(hidden_size="x"), {}, "config.json, field 'hidden_size': found 'x', expected a number"),
        (change(max_position_embeddings=8), {}, "found a model for 8 tokens in .* at least 16"),
        (
            change(vocab_size=100),
            {},
            "found a model of 100 tokens in .*, expected at least 300, those of the",
        ),
        (change(word_embed_proj_dim=8), {}, "projected embeddings"),
        (lambda f: None, {"width": 64}, "'model.options.width': found 64, expected 32"),
        (lambda f: None, {"middle": 3}, "'model.options.middle': found 3, expected 2"),
    ],
)
def test_a_folder_that_does_not_fit_is_named(
    tokenizer: Any, tmp_path: Path, damage: Any, options: Any, message: str
) -> None:
    model = build("opt", tokenizer)
    export_model(model, model.initial_state(0), tmp_path / "out")
    damage(tmp_path / "out")
    with pytest.raises(SnakegymError, match=message) as raised:
        build("opt", tokenizer, tmp_path / "out", **options)
    assert "\n" not in str(raised.value)


def test_weights_are_of_language_models_alone(tmp_path: Path) -> None:
    with pytest.raises(
        SnakegymError, match=r"'model.weights': found a folder for 'mlp', expected null, or one of"
    ):
        build_model(ModelConfig(name="mlp", weights=str(tmp_path)), (1, 8, 8), 10)


def test_options_that_agree_may_be_given(tokenizer: Any, tmp_path: Path) -> None:
    model = build("opt", tokenizer)
    export_model(model, model.initial_state(0), tmp_path / "out")
    assert build("opt", tokenizer, tmp_path / "out", width=32, middle=2).n_middle == 2
    config = replace(
        LocalTraining(
            model.initial_state(0), 0, texts(tokenizer), torch.arange(2), LearningConfig(epochs=1), 1e-3, 0
        )
    )
    (result,) = SequentialEngine(build("opt", tokenizer, tmp_path / "out")).train([config])
    assert result.batches == 1


def test_blocks_of_different_sizes_are_refused(tokenizer: Any, tmp_path: Path) -> None:
    config = ModelConfig(name="opt", options=KINDS["opt"] | {"hidden_last": 128})
    model = build_model(config, (LENGTH,), tokenizer.get_vocab_size(), tokens=True)
    with pytest.raises(SnakegymError, match="found blocks of different sizes"):
        export_model(model, model.initial_state(0), tmp_path / "folder")
    assert not (tmp_path / "folder").exists()
