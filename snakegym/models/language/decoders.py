"""Causal language models as layers: embedding, transformer blocks, output head.

The modules are those of transformers (OPT: Zhang et al., arXiv:2205.01068; Llama: Grattafiori et al.,
arXiv:2407.21783), made from configurations; nothing is downloaded. Layers, initial parameters and the
causal mask are ours.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from snakegym.data.torchvision_shim import import_torchvision
from snakegym.errors import SnakegymError
from snakegym.llm import import_llm
from snakegym.scenario import Section

Shape = tuple[int, ...]
Width = Annotated[int, Field(ge=2, le=2**16)]
Heads = Annotated[int, Field(ge=1, le=1024)]


class OptOptions(Section):
    """Options of `opt`. OPT-1.3B has width 2048, hidden 8192, 24 blocks and 32 heads."""

    width: Width = 64
    """Features of a token between the layers; a multiple of `heads`."""
    hidden: Width = 256
    """Features within a block's feed-forward part."""
    hidden_last: Width | None = None
    """Of the last block, where blocks differ: from block to block it grows (or shrinks) by one factor. Blocks
    of their own sizes are due to Mehta et al., OpenELM, arXiv:2404.14619. Null: all have `hidden`."""
    middle: Annotated[int, Field(ge=1, le=1024)] = 4
    """Transformer blocks."""
    heads: Heads = 4
    """Of the attention."""


class LlamaOptions(Section):
    """Options of `llama`. Llama-3-8B has width 4096, hidden 14336, 32 blocks, 32 heads and 8 of keys."""

    width: Width = 64
    """Features of a token between the layers; an even multiple of `heads`."""
    hidden: Width = 192
    """Features within a block's gated feed-forward part."""
    hidden_last: Width | None = None
    """Of the last block, where blocks differ: from block to block it grows (or shrinks) by one factor. Blocks
    of their own sizes are due to Mehta et al., OpenELM, arXiv:2404.14619. Null: all have `hidden`."""
    middle: Annotated[int, Field(ge=1, le=1024)] = 4
    """Transformer blocks."""
    heads: Heads = 4
    """Of the queries."""
    key_heads: Heads = 2
    """Of keys and values; `heads` is a multiple of it."""
    tied: bool = False
    """Whether the output head computes with the embedding's weights, as it always does in OPT."""


Options = OptOptions | LlamaOptions


def opt(options: OptOptions, input_shape: Shape, n_tokens: int) -> list[nn.Module]:
    """Layers of an OPT-shaped model for texts of that length; raises SnakegymError for what does not fit."""
    return layers_of(network_of(options, input_shape, n_tokens), text_length("opt", input_shape))


def llama(options: LlamaOptions, input_shape: Shape, n_tokens: int) -> list[nn.Module]:
    """Layers of a Llama-shaped model for texts of that length; raises SnakegymError for what does not fit."""
    return layers_of(network_of(options, input_shape, n_tokens), text_length("llama", input_shape))


def network_of(options: Options, input_shape: Shape, n_tokens: int) -> Any:
    """The model of transformers, all parameters as they happen to be. Raises SnakegymError as `opt`."""
    if isinstance(options, OptOptions):
        length = text_length("opt", input_shape)
        _require_multiple("width", options.width, "heads", options.heads)
        configuration = transformers().OPTConfig(
            word_embed_proj_dim=options.width,
            ffn_dim=options.hidden,
            dropout=0.0,
            attention_dropout=0.0,
            **_shape(options, length, n_tokens),
        )
        network = transformers().OPTForCausalLM(configuration)
        _resize(network.model.decoder, options, configuration, "ffn_dim")
    else:
        length = text_length("llama", input_shape)
        _require_multiple("width", options.width, "heads", 2 * options.heads)  # halves of a head are rotated
        _require_multiple("heads", options.heads, "key_heads", options.key_heads)
        configuration = transformers().LlamaConfig(
            intermediate_size=options.hidden,
            num_key_value_heads=options.key_heads,
            tie_word_embeddings=options.tied,
            **_shape(options, length, n_tokens),
        )
        network = transformers().LlamaForCausalLM(configuration)
        _resize(network.model, options, configuration, "intermediate_size")
    network.tie_weights()
    return network


def layers_of(network: Any, length: int) -> list[nn.Module]:
    """The modules of a model of transformers, as layers for texts of at most that length."""
    configuration = network.config
    n_blocks = configuration.num_hidden_layers
    body = network.model.decoder if configuration.model_type == "opt" else network.model
    positions = body.embed_positions if configuration.model_type == "opt" else None
    first = Tokens(body.embed_tokens, positions, configuration)
    if configuration.model_type == "opt":
        blocks = [Block(b, ("self_attn.out_proj", "fc2"), n_blocks) for b in body.layers]
        return [first, *blocks, Head(body.final_layer_norm, network.lm_head)]
    with torch.device("cpu"):  # real numbers even where the rest is shapes alone
        rotary = transformers().models.llama.modeling_llama.LlamaRotaryEmbedding(configuration)
        rotation = rotary(torch.empty(1), position_ids=torch.arange(length)[None])
    ways_back = ("self_attn.o_proj", "mlp.down_proj")
    blocks = [Block(b, ways_back, n_blocks, rotation) for b in body.layers]
    return [first, *blocks, Head(body.norm, network.lm_head)]


class Tokens(nn.Module):
    """Tokens int64 [n, length] to features [n, length, width], with those of places where these are learned.

    Args:
        tokens: one vector a token.
        positions: one vector a place; called as OPT's is.
        configuration: of the whole model, as transformers has it; kept for whoever writes it to a folder.
    """

    def __init__(
        self, tokens: nn.Embedding, positions: nn.Module | None = None, configuration: Any = None
    ) -> None:
        super().__init__()
        self.configuration = configuration
        self.tokens, self.positions = tokens, positions

    def forward(self, inputs: Tensor) -> Tensor:
        """Features."""
        features: Tensor = self.tokens(inputs)
        if self.positions is not None:
            places = torch.arange(inputs.shape[1], device=inputs.device)[None]
            features = features + self.positions(None, position_ids=places)
        return features

    def reset_parameters(self) -> None:
        """See `_draw`."""
        _draw(self, self.tokens.embedding_dim)


class Block(nn.Module):
    """A decoder block of transformers on features [n, length, width], under a causal mask.

    Args:
        block: the module.
        ways_back: its products whose outputs are added to the trunk.
        n_blocks: of the model; the ways back start smaller the more there are, so that depth does not
            inflate the trunk (Radford et al. 2019, "Language Models are Unsupervised Multitask Learners").
        rotation: cosines and sines [1, length, width of a head] of places, where the block rotates by them.
    """

    def __init__(
        self,
        block: nn.Module,
        ways_back: Sequence[str],
        n_blocks: int,
        rotation: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.block = block
        self._ways_back, self._scale = tuple(ways_back), (2 * n_blocks) ** -0.5
        self._rotation = rotation  # no buffer: it never changes, so that it need not travel

    def forward(self, inputs: Tensor) -> Tensor:
        """Features of the same shape."""
        length = inputs.shape[1]
        mask = torch.full((length, length), torch.finfo(inputs.dtype).min, device=inputs.device).triu_(1)
        rest: dict[str, Any] = {}
        if self._rotation is not None:
            cos, sin = (part[:, :length].to(inputs) for part in self._rotation)
            rest["position_embeddings"] = (cos, sin)
        outputs: Tensor = self.block(inputs, attention_mask=mask[None, None], **rest)
        return outputs

    def reset_parameters(self) -> None:
        """See `_draw`."""
        products = [m for m in self.block.modules() if isinstance(m, nn.Linear)]
        _draw(self.block, products[0].in_features)
        with torch.no_grad():
            for name in self._ways_back:
                self.block.get_submodule(name).weight.mul_(self._scale)  # type: ignore[operator]


class Head(nn.Module):
    """Features [n, length, width] to logits of the token that follows, [n, length, n_tokens]."""

    def __init__(self, norm: nn.Module, product: nn.Linear) -> None:
        super().__init__()
        self.norm, self.product = norm, product

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits."""
        logits: Tensor = self.product(self.norm(inputs))
        return logits

    def reset_parameters(self) -> None:
        """See `_draw`."""
        _draw(self, self.product.in_features)


def transformers() -> Any:
    """The library. Raises SnakegymError where it is not installed."""
    with suppress(SnakegymError):  # where it is installed, transformers imports torchvision by itself
        import_torchvision()
    return import_llm("transformers")


def _shape(options: OptOptions | LlamaOptions, length: int, n_tokens: int) -> dict[str, Any]:
    """What the configurations of both have in common; no token has a meaning to the model."""
    return {
        "vocab_size": n_tokens,
        "hidden_size": options.width,
        "num_hidden_layers": options.middle,
        "num_attention_heads": options.heads,
        "max_position_embeddings": length,
        "pad_token_id": None,
        "bos_token_id": None,
        "eos_token_id": None,
        "attn_implementation": "eager",
    }


def _resize(body: Any, options: Options, configuration: Any, field: str) -> None:
    """Where `hidden_last` is given, other blocks of the same kind, each of a size of its own."""
    if options.hidden_last is None:
        return
    sizes = np.geomspace(options.hidden, options.hidden_last, options.middle).round().astype(int).tolist()
    for i, size in enumerate(sizes):
        own = copy.deepcopy(configuration)
        setattr(own, field, size)
        body.layers[i] = type(body.layers[i])(own, layer_idx=i)


def _draw(module: nn.Module, width: int) -> None:
    """Normal weights of deviation width^-1/2 (0.022 at OPT-1.3B's width, where OPT has 0.02); no biases."""
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Linear | nn.Embedding):
                part.weight.normal_(0, width**-0.5)
                if isinstance(part, nn.Linear) and part.bias is not None:
                    part.bias.zero_()


def text_length(name: str, shape: Shape) -> int:
    """Tokens of a sample of that shape. Raises SnakegymError, which names the model, if it is no text's."""
    if len(shape) != 1:
        raise SnakegymError(f"model '{name}': found samples of shape {shape}, expected texts (length,)")
    return shape[0]


def _require_multiple(field: str, found: int, other: str, of: int) -> None:
    if found % of:
        raise SnakegymError(
            f"field 'model.options.{field}': found {found}, expected a multiple of {of}, for '{other}'"
        )
