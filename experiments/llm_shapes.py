"""Language models as large as the paper's, made a layer at a time: for `llm_memory.py`."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from snakegym.data.datasets import Dataset
from snakegym.data.tasks import Language
from snakegym.learning.quantisation import loaded, low_layer
from snakegym.models.language.decoders import LlamaOptions, OptOptions, llama, opt
from snakegym.models.layered import LayeredModel
from snakegym.models.profile import ModelProfile, profile_model
from snakegym.models.state import LayerState, ModelState
from snakegym.scenario import Precision

LENGTH = 128
SHAPES: dict[str, tuple[Any, Any, int]] = {
    "opt-1.3b": (opt, OptOptions(width=2048, hidden=8192, middle=24, heads=32), 50272),
    "llama-3-8b": (
        llama,
        LlamaOptions(width=4096, hidden=14336, middle=32, heads=32, key_heads=8),
        128256,
    ),
    "opt-24": (opt, OptOptions(width=512, hidden=2048, middle=24, heads=8), 8192),
    "tiny": (opt, OptOptions(), 300),
}


class Hollow(nn.Module):
    """A layer that another one computes for: a frozen block whose weights are read when they are needed."""

    def __init__(self, like: LayeredModel, path: Path) -> None:
        super().__init__()
        self._like, self._path = [like], path  # in a list: its parameters are not this layer's

    def forward(self, inputs: Tensor) -> Tensor:
        """Features of the same shape."""
        model = self._like[0]
        state = model.state().replace({1: torch.load(self._path, weights_only=True)})
        with loaded(model, state):
            outputs: Tensor = model.layers[1](inputs)
        return outputs


def meta_layers(shape: str, middle: int | None = None) -> list[nn.Module]:
    """Layers without memory."""
    make, options, tokens = SHAPES[shape]
    if middle is not None:
        options = options.model_copy(update={"middle": middle})
    with torch.device("meta"):
        layers: list[nn.Module] = make(options, (LENGTH,), tokens)
    return layers


def hollow(layers: list[nn.Module]) -> LayeredModel:
    """The model with parameters of the right shapes that take no memory, until a state is loaded."""
    made: dict[int, nn.Parameter] = {}
    for module in (m for layer in layers for m in layer.modules()):
        for name, parameter in module._parameters.items():
            if parameter is not None and parameter.is_meta:
                empty = torch.zeros(()).expand(parameter.shape)
                own = made.setdefault(id(parameter), nn.Parameter(empty, requires_grad=False))
                module._parameters[name] = own
    return LayeredModel(layers)


def rolled(block: LayerState, i: int) -> LayerState:
    """The block with its rows in another order: to bring each into low precision anew takes minutes."""
    return {name: t.roll(i, 0) for name, t in block.items()}


def random_layer(model: LayeredModel, layer: int) -> LayerState:
    """Fresh numbers of one layer in float32."""
    g = torch.Generator().manual_seed(layer)
    return {
        name: torch.randn(p.shape, generator=g).mul_(0.02)
        if p.ndim > 1
        else torch.ones(p.shape) * ("weight" in name)
        for name, p in model.parameters_of(layer).items()
    }


def build(row: dict[str, Any]) -> tuple[LayeredModel, ModelState]:
    """Model and state as a node has them that is about to train: made a layer at a time."""
    layers = meta_layers(row["shape"])
    low: Precision = row["frozen"]
    trained = range(len(layers)) if row["train"] == "full" else (row["layer"] + 1,)
    if row["stream"]:
        like = hollow(meta_layers(row["shape"], 1))
        for i in range(1, len(layers) - 1):
            if i not in trained:
                layers[i] = Hollow(like, stored_block(row, like, i))
    model = hollow(layers)
    states: list[LayerState] = []
    block: LayerState = {}
    for i in range(len(layers)):
        names = model.parameters_of(i).keys()
        if i in trained and row["lora"] is None:
            states.append(random_layer(model, i))
        elif block and block.keys() >= names and 0 < i < len(layers) - 1:
            states.append(rolled(block, i) if names else {})
        else:
            states.append(low_layer(model, i, random_layer(model, i), low))
            block = states[-1] if 0 < i < len(layers) - 1 else {}
        trim()
    return model, ModelState(tuple(states))


def stored_block(row: dict[str, Any], like: LayeredModel, i: int) -> Path:
    """A file with the block in low precision; one that is there already is kept."""
    path = Path(row["stream"]) / f"{row['shape']}-{row['frozen']}-{i}.pt"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        whole, first = path.with_suffix(".part"), Path(row["stream"]) / f"{row['shape']}-{row['frozen']}.pt"
        if not first.exists():
            torch.save(dict(low_layer(like, 1, random_layer(like, 1), row["frozen"])), first)
        block = torch.load(first, weights_only=True)
        torch.save(dict(rolled(block, i)), whole)
        whole.replace(path)
        trim()
    return path


def texts(shape: str) -> Dataset:
    """One text."""
    tokens = SHAPES[shape][2]
    inputs = torch.randint(tokens, (1, LENGTH + 1), generator=torch.Generator().manual_seed(0))
    topics = torch.zeros(1, dtype=torch.int64)
    return Dataset(inputs[:, :-1].clone(), inputs[:, 1:].clone(), 1, Language(tokens), topics)


def profile_of(shape: str) -> ModelProfile:
    """By shapes alone."""
    sample = torch.zeros(LENGTH, dtype=torch.int64, device="meta")
    return profile_model(LayeredModel(meta_layers(shape)), sample, adapters=True)


def trim() -> None:
    """Give freed memory back."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)
