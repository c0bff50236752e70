"""The models that a scenario can name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field, ValidationError
from torch import nn

from snakegym.data.torchvision_shim import import_torchvision
from snakegym.errors import SnakegymError, in_one_line
from snakegym.models.blocks import ResidualBlock, ResidualLinear, convolution, dense
from snakegym.models.language.decoders import LlamaOptions, OptOptions, llama, opt
from snakegym.models.language.pretrained import pretrained_layers
from snakegym.models.layered import LayeredModel
from snakegym.plugins import load_plugin, make_plugin
from snakegym.scenario import ModelConfig, Section, describe_faults

Shape = tuple[int, ...]

MOST_BYTES, MOST_TEXT_BYTES = 2**32, 2**36
"""Of a model's parameters: eight times those of torchvision's VGG-11, and twice those of Llama-3-8B."""


class MlpOptions(Section):
    """Options of `mlp`."""

    width: Annotated[int, Field(ge=1, le=2**16)] = 64
    """Features between the layers."""
    middle: Annotated[int, Field(ge=1, le=1024)] = 7
    """Middle layers."""


class BlocksOptions(Section):
    """Options of `blocks`."""

    width: Annotated[int, Field(ge=1, le=2**16)] = 16
    """Features between the layers: the narrower, the more the layers' own sizes tell."""
    middle: Annotated[int, Field(ge=1, le=1024)] = 7
    """Middle layers."""
    smallest: Annotated[int, Field(ge=1, le=2**16)] = 8
    """Hidden features of the first middle layer; from layer to layer they grow by one factor."""
    largest: Annotated[int, Field(ge=1, le=2**16)] = 512
    """Hidden features of the last middle layer, `smallest` or more."""


class VggOptions(Section):
    """Options of `vgg`."""

    width: Annotated[int, Field(ge=1, le=2**12)] = 16
    """Channels of the first three convolutions; the later ones have twice as many."""
    norm: Literal["group", "none"] = "group"
    """On the default's Non-IID digits, 36 hops end at 0.90 with group norm and at 0.82 without."""


class Vgg11Options(Section):
    """Options of `vgg11`."""

    width: Annotated[float, Field(ge=1e-3, le=64)] = 1.0
    """Factor on the number of channels and features (1: 64 to 512)."""
    norm: Literal["group", "none"] = "group"
    """`none` is the network as published; in short trials on CIFAR-10 both learned alike."""
    hidden: Annotated[int, Field(ge=1, le=2**16)] = 512
    """Features of the two hidden fully connected layers at width 1."""


class TorchvisionVgg11Options(Section):
    """Options of `torchvision-vgg11`."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """In the two hidden fully connected layers, while they are trained."""


def build_model(
    config: ModelConfig, input_shape: Shape, n_classes: int, *, tokens: bool = False
) -> LayeredModel:
    """The configured model for samples of that shape; its parameters still have to be loaded.

    Where samples are `tokens`, int64 (length,), outputs are [n, length, n_classes]: one for every place, and
    `n_classes` is the size of the vocabulary.

    A name that `snakegym.plugins` understands stands for a class or function that takes `input_shape`,
    `n_classes` and the options as keywords, and gives the layers: an `nn.Sequential`, whose modules
    without parameters join the layer before them (the first layer, at the beginning), or a list of
    modules, one a layer.

    Raises:
        SnakegymError: unknown model, unknown or bad option, or inputs that do not fit the model.
    """
    if config.name not in _ZOO:
        return _own_model(config, input_shape, n_classes, tokens)
    if tokens != (config.name in _OF_TOKENS):
        fitting = ", ".join(sorted(_OF_TOKENS if tokens else _ZOO.keys() - _OF_TOKENS))
        raise SnakegymError(
            f"field 'model.name': found '{config.name}', expected one of {fitting} (or your own) for "
            f"{'texts' if tokens else f'samples of shape {input_shape}'}"
        )
    options_type, build = _ZOO[config.name]
    try:
        options = options_type.model_validate(config.options)
    except ValidationError as error:
        raise SnakegymError(_describe(error, config.name, options_type)) from None
    if config.weights is not None and not tokens:
        raise SnakegymError(
            f"field 'model.weights': found a folder for '{config.name}', expected null, or one of "
            f"{', '.join(sorted(_OF_TOKENS))} as 'model.name'"
        )
    if config.weights is not None:
        return LayeredModel(pretrained_layers(config, options, input_shape, n_classes), fixed=True)
    if options_type is not TorchvisionVgg11Options:  # which comes in one size
        with torch.device("meta"):  # shapes alone: takes neither memory nor random numbers
            _check_size(
                config, build(options, input_shape, n_classes), MOST_TEXT_BYTES if tokens else MOST_BYTES
            )
    with _drawing_the_same():
        return LayeredModel(build(options, input_shape, n_classes))


@contextmanager
def _drawing_the_same() -> Iterator[None]:
    """Modules draw first parameters as they are made, and buffers (random features) that stay as they are."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        yield


def list_models() -> tuple[str, ...]:
    """Names of the models, sorted."""
    return tuple(sorted(_ZOO))


def _own_model(config: ModelConfig, input_shape: Shape, n_classes: int, tokens: bool) -> LayeredModel:
    try:
        make = load_plugin("model", config.name, list_models())
    except SnakegymError as error:
        raise SnakegymError(f"field 'model.name': {error}") from None
    with _drawing_the_same():
        made = make_plugin(
            "model", config.name, make, input_shape=input_shape, n_classes=n_classes, **config.options
        )
    layers = _layers_of(made) if isinstance(made, nn.Sequential) else made
    if not isinstance(layers, list | tuple) or not all(isinstance(layer, nn.Module) for layer in layers):
        raise SnakegymError(
            f"model '{config.name}': found {type(made).__name__}, expected an nn.Sequential or a list of "
            "modules, one a layer: what is trained layer by layer has to be layers in a row"
        )
    model = LayeredModel(layers)
    samples = torch.zeros(2, *input_shape, dtype=torch.int64 if tokens else torch.float32)
    _check_outputs(config.name, model, samples, (2, *(input_shape if tokens else ()), n_classes))
    return model


def _layers_of(network: nn.Sequential) -> list[nn.Module]:
    """Layers, each of which begins at a module with parameters."""
    modules = list(network)
    starts = [i for i, module in enumerate(modules) if next(module.parameters(), None) is not None]
    starts[:1] = [0]
    return [nn.Sequential(*modules[a:b]) for a, b in pairwise([*starts, len(modules)])]


def _check_outputs(name: str, model: LayeredModel, samples: torch.Tensor, expected: Shape) -> None:
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            found = tuple(model(samples).shape)
    except Exception as error:  # any module may stand in it
        shape, why = tuple(samples.shape[1:]), in_one_line(error)
        raise SnakegymError(f"model '{name}': cannot take samples of shape {shape}: {why}") from error
    if found != expected:
        raise SnakegymError(
            f"model '{name}': found outputs of shape {found} for 2 samples, expected {expected}"
        )


def _mlp(options: MlpOptions, input_shape: Shape, n_classes: int) -> list[nn.Module]:
    """Perceptron with residual middle layers, for samples of any shape."""
    width, scale = options.width, options.middle**-0.5
    first = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), width))
    last = nn.Sequential(nn.ReLU(), nn.Linear(width, n_classes))
    return [first, *(ResidualLinear(width, scale) for _ in range(options.middle)), last]


def _blocks(options: BlocksOptions, input_shape: Shape, n_classes: int) -> list[nn.Module]:
    """Residual blocks on a narrow trunk, larger from layer to layer, for samples of any shape."""
    if options.smallest > options.largest:
        raise SnakegymError(
            f"field 'model.options.smallest': found {options.smallest}, expected at most {options.largest}, "
            "which is 'model.options.largest'"
        )
    width, scale = options.width, (2 * options.middle) ** -0.5
    hidden = np.geomspace(options.smallest, options.largest, options.middle).round().astype(int).tolist()
    first = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), width))
    last = nn.Sequential(nn.ReLU(), nn.Linear(width, n_classes))
    return [first, *(ResidualBlock(width, h, scale) for h in hidden), last]


def _vgg(options: VggOptions, input_shape: Shape, n_classes: int) -> list[nn.Module]:
    """VGG-style network for small images: 7 convolutions (the 3rd and 6th pool), 2 dense layers."""
    _require_images("vgg", input_shape, 8)
    w = options.width
    channels = [input_shape[0], w, w, w, 2 * w, 2 * w, 2 * w, 2 * w]
    layers: list[nn.Module] = [
        convolution(a, b, options.norm, pool=i in (2, 5)) for i, (a, b) in enumerate(pairwise(channels))
    ]
    layers[-1] = nn.Sequential(layers[-1], nn.AdaptiveAvgPool2d(2))
    return [*layers, dense(8 * w, 4 * w), nn.Linear(4 * w, n_classes)]


def _vgg11(options: Vgg11Options, input_shape: Shape, n_classes: int) -> list[nn.Module]:
    """VGG-11 (Simonyan and Zisserman, arXiv:1409.1556, configuration A): 8 convolutions, 3 dense layers.

    The dense layers are as small as is usual for 32x32 images, where 1x1 is left after the last pooling.
    """
    _require_images("vgg11", input_shape, 32)

    def scaled(n: int) -> int:
        return max(8, round(n * options.width / 8) * 8)  # whole groups of channels

    channels = [input_shape[0], *map(scaled, (64, 128, 256, 256, 512, 512, 512, 512))]
    convolutions = [
        convolution(a, b, options.norm, pool=i in (0, 1, 3, 5, 7))
        for i, (a, b) in enumerate(pairwise(channels))
    ]
    side = channels[-1] * (input_shape[1] // 32) * (input_shape[2] // 32)
    hidden = scaled(options.hidden)
    return [*convolutions, dense(side, hidden), dense(hidden, hidden), nn.Linear(hidden, n_classes)]


def _torchvision_vgg11(
    options: TorchvisionVgg11Options, input_shape: Shape, n_classes: int
) -> list[nn.Module]:
    """VGG-11 as torchvision defines it, with 4096 features in its hidden layers: 129 million parameters."""
    _require_images("torchvision-vgg11", input_shape, 32)
    if input_shape[0] != 3:
        raise SnakegymError(f"model 'torchvision-vgg11': found {input_shape[0]} channels, expected 3")
    models = import_torchvision().models
    network = models.vgg11(num_classes=n_classes, dropout=options.dropout, init_weights=False)
    return _cut([*network.features, network.avgpool, nn.Flatten(), *network.classifier])


def _cut(modules: list[nn.Module]) -> list[nn.Module]:
    """Layers, each of which begins at a convolution or a fully connected layer."""
    starts = [i for i, module in enumerate(modules) if isinstance(module, nn.Conv2d | nn.Linear)]
    return [nn.Sequential(*modules[a:b]) for a, b in pairwise([*starts, len(modules)])]


def _require_images(name: str, shape: Shape, side: int) -> None:
    if len(shape) != 3 or min(shape[1:]) < side:
        raise SnakegymError(
            f"model '{name}': found samples of shape {shape}, expected (channels, height, width) "
            f"with at least {side}x{side} pixels"
        )


def _check_size(config: ModelConfig, layers: list[nn.Module], most: int) -> None:
    n_bytes = sum(p.numel() * p.element_size() for layer in layers for p in layer.parameters())
    if n_bytes > most:
        raise SnakegymError(
            f"field 'model.options': {config.name} with {config.options} has {n_bytes:.3g} bytes of "
            f"parameters, expected at most {most:.3g}"
        )


def _describe(error: ValidationError, name: str, options: type[Section]) -> str:
    allowed = ", ".join(f"{key} (default {field.default})" for key, field in options.model_fields.items())
    faults = describe_faults(error, "field 'model.options.{}'")
    return f"{faults}; {name} has the options {allowed}"


_ZOO: dict[str, tuple[type[Section], Callable[[Any, Shape, int], list[nn.Module]]]] = {
    "blocks": (BlocksOptions, _blocks),
    "llama": (LlamaOptions, llama),
    "mlp": (MlpOptions, _mlp),
    "opt": (OptOptions, opt),
    "torchvision-vgg11": (TorchvisionVgg11Options, _torchvision_vgg11),
    "vgg": (VggOptions, _vgg),
    "vgg11": (Vgg11Options, _vgg11),
}
_OF_TOKENS = frozenset({"llama", "opt"})
