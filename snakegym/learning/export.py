"""A language model that was trained here, as a folder that transformers and peft load by themselves."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from snakegym.data.text import ANSWER, END, PAD, special_tokens
from snakegym.errors import SnakegymError
from snakegym.learning.quantisation import in_float32
from snakegym.llm import import_llm
from snakegym.models.language.decoders import Tokens, layers_of, transformers
from snakegym.models.layered import LayeredModel
from snakegym.models.state import A, B, ModelState

ADAPTERS = "adapters"
"""Of the folder, where adapters lie beside weights in low precision."""


def export_model(model: LayeredModel, state: ModelState, folder: Path, tokenizer: Any = None) -> None:
    """Write the model in float32, for `AutoModelForCausalLM.from_pretrained(folder)`.

    Adapters that lie beside weights go to `folder/adapters`, for `PeftModel.from_pretrained(base, …)`, and
    the weights there are without them; what was added to weights in training is in them.

    Args:
        model: `opt` or `llama`.
        state: of it.
        folder: is made, all at once, and must not exist.
        tokenizer: of the library tokenizers, for `AutoTokenizer.from_pretrained(folder)`.

    Raises:
        SnakegymError: another model, the folder exists, cannot be written, or an extra is lacking.
    """
    check_exportable(model, folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _write(model, state, temporary, folder, tokenizer)
        os.replace(temporary, folder)
    except OSError as error:
        raise SnakegymError(f"{folder}: cannot write the model: {error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_exportable(model: LayeredModel, folder: Path) -> None:
    """Raise SnakegymError, as `export_model` would, for another model or a folder that exists."""
    if not isinstance(model.layers[0], Tokens):
        raise SnakegymError(
            "found a model that is no language model, expected opt or llama to write to a folder"
        )
    sizes = {sum(p.numel() for p in block.parameters()) for block in model.layers[1:-1]}
    if len(sizes) > 1:
        raise SnakegymError(
            "found blocks of different sizes (model.options.hidden_last), expected equal ones: transformers' "
            "folders say one size for all"
        )
    if folder.exists():
        raise SnakegymError(f"{folder}: found something there, expected a new folder for the model")


def _write(model: LayeredModel, state: ModelState, here: Path, folder: Path, tokenizer: Any) -> None:
    configuration = model.layers[0].configuration
    adapted = any(name.endswith(A) for layer in state.layers for name in layer)
    library = transformers()
    with torch.device("meta"):
        network = library.AutoModelForCausalLM.from_config(configuration)
    network.tie_weights()
    network.to_empty(device="cpu")
    network.tie_weights()
    twin = LayeredModel(layers_of(network, 2))
    whole = in_float32(twin, state, fold=not adapted)
    with torch.no_grad():
        for i, layer in enumerate(whole.layers):
            for name, parameter in twin.parameters_of(i).items():
                parameter.copy_(layer[name])
    if tokenizer is not None:
        own = special_tokens(tokenizer)
        wrapped = library.PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            pad_token=own[PAD],
            eos_token=own[END],
            additional_special_tokens=[own[ANSWER]],
        )
        wrapped.save_pretrained(here)
        ids = {"pad_token_id": wrapped.pad_token_id, "eos_token_id": wrapped.eos_token_id}
        for part in (network.config, network.generation_config):
            for name, value in ids.items():
                setattr(part, name, value)
    network.save_pretrained(here)
    if adapted:
        _write_adapters(twin, state, {m: name for name, m in network.named_modules()}, here, folder)


def _write_adapters(
    model: LayeredModel, state: ModelState, names: dict[nn.Module, str], here: Path, folder: Path
) -> None:
    peft, safetensors = import_llm("peft"), import_llm("safetensors.torch")
    tensors, ranks = {}, {}
    for i, layer in enumerate(state.layers):
        for weight, module in model.quantisable_of(i).items():
            if weight + A in layer:
                name = names[module]
                ranks[name] = len(layer[weight + A])
                for part, suffix in (("lora_A", A), ("lora_B", B)):
                    tensors[f"base_model.model.{name}.{part}.weight"] = layer[weight + suffix].contiguous()
    config = peft.LoraConfig(
        r=1,
        lora_alpha=1,
        rank_pattern=ranks,
        alpha_pattern=ranks,  # their product is added as it is
        target_modules=sorted(ranks),
        task_type="CAUSAL_LM",
        base_model_name_or_path=str(folder.absolute()),
    )
    config.save_pretrained(here / ADAPTERS)
    safetensors.save_file(tensors, here / ADAPTERS / "adapter_model.safetensors", {"format": "pt"})
