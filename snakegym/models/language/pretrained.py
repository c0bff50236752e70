"""OPT- and Llama-shaped models in folders, as transformers keeps them: read, and written."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from snakegym.documents import parse_json
from snakegym.errors import SnakegymError, in_one_line
from snakegym.files import is_folder, read_text
from snakegym.models.language.decoders import Shape, layers_of, text_length, transformers
from snakegym.scenario import ModelConfig, Section

_FIELDS: Final = {
    "opt": {"width": "hidden_size", "hidden": "ffn_dim"},
    "llama": {
        "width": "hidden_size",
        "hidden": "intermediate_size",
        "key_heads": "num_key_value_heads",
        "tied": "tie_word_embeddings",
    },
}
_COMMON: Final = {"middle": "num_hidden_layers", "heads": "num_attention_heads"}
"""Our options, and what transformers calls them."""
FIELD: Final = "field 'model.weights'"


def pretrained_layers(
    config: ModelConfig, options: Section, input_shape: Shape, n_tokens: int
) -> list[nn.Module]:
    """Layers with the weights of a folder, in float32; of its tokens the first `n_tokens` alone.

    Args:
        config: names the model and the folder.
        options: of the model; those that were given have to be the folder's.
        input_shape: of texts.
        n_tokens: of their tokenizer.

    Raises:
        SnakegymError: no such folder, one of another model or shape, or incomplete; a tokenizer with more
            tokens than the model.
    """
    folder = Path(str(config.weights))
    found = _described(config.name, folder)
    length = text_length(config.name, input_shape)
    for ours, theirs in {**_FIELDS[config.name], **_COMMON}.items():
        given = getattr(options, ours)
        if ours in options.model_fields_set and given != found.get(theirs, given):
            raise SnakegymError(
                f"field 'model.options.{ours}': found {given}, expected {found[theirs]} (or nothing), as in "
                f"the folder {folder} of 'model.weights'"
            )
    if found["max_position_embeddings"] < length:
        raise SnakegymError(
            f"{FIELD}: found a model for {found['max_position_embeddings']} tokens in {folder}, expected one "
            f"for at least {length}, the length of a text"
        )
    if found["vocab_size"] < n_tokens:
        raise SnakegymError(
            f"{FIELD}: found a model of {found['vocab_size']} tokens in {folder}, expected at least "
            f"{n_tokens}, those of the tokenizer"
        )
    network = _loaded(config.name, folder)
    _cut(network, n_tokens)
    return layers_of(network, length)


def _described(name: str, folder: Path) -> dict[str, Any]:
    """The content of the folder's `config.json`, as far as it has to fit."""
    path = folder / "config.json"
    if not is_folder(folder) or not path.is_file():
        raise SnakegymError(
            f"{FIELD}: found no config.json in {folder}, expected a folder as transformers keeps a model"
        )
    found: dict[str, Any] = parse_json(read_text(path, "the weights"), str(path))
    kind = found.get("model_type") if isinstance(found, dict) else None
    if kind != name:
        raise SnakegymError(
            f"{FIELD}: found a model of type {kind!r:.40} in {folder}, expected '{name}', the 'model.name'"
        )
    for field in ("hidden_size", "num_hidden_layers", "max_position_embeddings", "vocab_size"):
        if not isinstance(found.get(field), int):
            raise SnakegymError(f"{path}, field '{field}': found {found.get(field)!r:.40}, expected a number")
    projected = found.get("word_embed_proj_dim", found["hidden_size"]) != found["hidden_size"]
    if name == "opt" and (projected or not found.get("do_layer_norm_before", True)):
        raise SnakegymError(
            f"{FIELD}: found an OPT with projected embeddings or norms behind in {folder}, expected one "
            "without (all sizes but 350m)"
        )
    return found


def _loaded(name: str, folder: Path) -> Any:
    """The whole model. Raises SnakegymError if the folder is incomplete or damaged."""
    kind = transformers().OPTForCausalLM if name == "opt" else transformers().LlamaForCausalLM
    settings = {"dropout": 0.0} if name == "opt" else {}
    transformers().logging.set_verbosity_error()
    try:
        network, info = kind.from_pretrained(
            folder,
            dtype=torch.float32,
            local_files_only=True,
            output_loading_info=True,
            attn_implementation="eager",
            attention_dropout=0.0,
            **settings,
        )
    except Exception as error:  # whatever missing or damaged files lead transformers to
        why = in_one_line(error)
        raise SnakegymError(f"{FIELD}: cannot read the model in {folder}: {why:.200}") from None
    lacking = sorted({*info["missing_keys"], *(str(key) for key in info["mismatched_keys"])})
    if lacking:
        raise SnakegymError(
            f"{FIELD}: found no '{lacking[0]}' of the right shape in {folder} ({len(lacking)} in all are "
            "lacking), expected a whole model: is it half copied?"
        )
    return network


def _cut(network: Any, n_tokens: int) -> None:
    """Leave out the rows of tokens that no text has."""
    if network.config.vocab_size > n_tokens:
        embedding, head = network.get_input_embeddings(), network.lm_head
        tied = head.weight is embedding.weight
        embedding.weight = nn.Parameter(embedding.weight.detach()[:n_tokens].clone())
        embedding.num_embeddings, embedding.padding_idx = n_tokens, None
        head.weight = embedding.weight if tied else nn.Parameter(head.weight.detach()[:n_tokens].clone())
        head.out_features = network.config.vocab_size = n_tokens
