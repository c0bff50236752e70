"""Models as ordered lists of layers: first, middle layers, last."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import islice

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from snakegym.errors import SnakegymError
from snakegym.models.quantisable import Quantisable, quantisable_weights
from snakegym.models.state import LayerState, ModelState
from snakegym.models.trained import TrainedSet
from snakegym.scenario import Trains


class LayeredModel(nn.Module):
    """Any modules in a row; a layer is what one hop trains and hands on as a whole.

    Layer 0 is the first, layer n_layers - 1 the last, middle layer m of the API is layer m + 1.
    Activation, pooling and normalisation belong to the layer they follow or precede, buffers
    (running statistics) to the layer they live in. The last layer may compute with parameters of the
    first (a head tied to the embedding): they are the first layer's, and not the last one's as well.

    Args:
        layers: first to last.
        fixed: whether what they hold now is what the model always begins with, whatever the seed.

    Attributes:
        tied: whether it does; see `snakegym.models.trained.TrainedSet`.

    Raises:
        SnakegymError: fewer than three layers, or others that share a parameter.
    """

    def __init__(self, layers: Sequence[nn.Module], *, fixed: bool = False) -> None:
        super().__init__()
        if len(layers) < 3:
            raise SnakegymError(
                f"model: found {len(layers)} layers, expected a first, at least one middle and a last"
            )
        self.layers = nn.ModuleList(layers)
        self._parameters_of = _own_parameters(layers)
        last = {*layers[-1].parameters()}
        self._shared = last - {*self._parameters_of[-1].values()}
        self.tied = bool(self._shared)
        self._buffers_of = [_buffer_slots(layer) for layer in layers]
        known = {module.weight for module in quantisable_weights(layers[-1]).values()}
        self._quantisable_of = [  # of what is shared both uses have to be known
            {
                name: module
                for name, module in quantisable_weights(layer).items()
                if name in own and module.weight not in self._shared - known
            }
            for layer, own in zip(layers, self._parameters_of, strict=True)
        ]
        self._fixed = self.state() if fixed else None
        self._made = [_as_made(layer, own) for layer, own in zip(layers, self._parameters_of, strict=True)]

    @property
    def n_layers(self) -> int:
        """Layers in all."""
        return len(self.layers)

    @property
    def n_middle(self) -> int:
        """Layers between first and last, at least 1."""
        return len(self.layers) - 2

    def trained(self, trains: Trains = "both-ends") -> TrainedSet:
        """What hops train of this model."""
        return TrainedSet(self.n_layers, trains, self.tied)

    def forward(
        self,
        inputs: Tensor,
        start: int = 0,
        stop: int | None = None,
        *,
        checkpointed: Collection[int] = (),
    ) -> Tensor:
        """Outputs of the last layer: logits [n, n_classes] for inputs [n, *input_shape].

        Images go through with their channels last in memory: VGG-11 takes 0.7 to 0.9 of the time.

        Args:
            inputs: of the model, or what comes out before the layer `start`.
            start: layer to begin with.
            stop: layer to stop before; None: the last is computed too.
            checkpointed: layers of which the inputs alone are kept for the way back, where each is computed
                once more (Chen et al. 2016, arXiv:1604.06174).
        """
        if inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        for i, layer in islice(enumerate(self.layers), start, stop):
            again = i in checkpointed
            inputs = checkpoint(layer, inputs, use_reentrant=False) if again else layer(inputs)
        return inputs

    def parameters_of(self, layer: int) -> dict[str, nn.Parameter]:
        """Name to parameter of one layer."""
        return self._parameters_of[layer]

    def buffers_of(self, layer: int) -> Collection[str]:
        """Names of the layer's buffers."""
        return self._buffers_of[layer].keys()

    def quantisable_of(self, layer: int) -> Mapping[str, Quantisable]:
        """Names of the layer's own weights that can be in low precision, and the modules that use them."""
        return self._quantisable_of[layer]

    def sharers_of(self, layer: int, name: str) -> list[Quantisable]:
        """Modules of the last layer that compute with that weight of the first, if it is the first's."""
        if layer or not self.tied:
            return []
        weight = self._parameters_of[layer][name]
        return [m for m in quantisable_weights(self.layers[-1]).values() if m.weight is weight]

    def initial_state(self, seed: int) -> ModelState:
        """Fresh parameters: Kaiming-normal weights, zero biases (He et al. 2015, arXiv:1502.01852).

        Linear and convolutional weights keep the variance of activations through ReLUs; every
        other module does its own `reset_parameters`, and a module with a `reset_parameters` around
        linear ones (a residual block) may rescale them. Parameters that no module starts by itself
        are drawn as weights are, or stay at the one value that they were made with (a scale of ones,
        an offset of zeros); buffers likewise begin as they were made. The same seed gives the same
        state; what the model has loaded and the global random generator are left alone.
        """
        if self._fixed is not None:
            return self._fixed
        before = self.state()
        try:
            # Tensors of its own: those that are loaded may be somebody's state.
            self.load(ModelState(tuple({n: t.clone() for n, t in made.items()} for made in self._made)))
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                torch.default_generator.manual_seed(seed)
                for layer in self.layers:
                    _poison(layer)
                    _initialise(layer)
                    if self.tied and layer is self.layers[0]:
                        first = {name: tensor.clone() for name, tensor in self.layer_state(0).items()}
                if self.tied:  # the last layer has started them anew
                    for name, tensor in self.layer_state(0).items():
                        tensor.copy_(first[name])
                for i, made in enumerate(self._made):
                    _start_rest(self.layer_state(i), made)
            return self.state()
        finally:
            self.load(before)

    def state(self) -> ModelState:
        """What is loaded now, by reference."""
        return ModelState(tuple(self.layer_state(i) for i in range(self.n_layers)))

    def layer_state(self, layer: int) -> LayerState:
        """Parameters and buffers of one layer as loaded now, by reference."""
        tensors = {name: p.detach() for name, p in self._parameters_of[layer].items()}
        tensors.update({name: getattr(m, key) for name, (m, key) in self._buffers_of[layer].items()})
        return tensors

    def load(self, state: ModelState) -> None:
        """Makes the state's tensors the model's own, without a copy.

        Whoever goes on to write into the parameters of a layer loads a copy of that layer.

        Raises:
            SnakegymError: the state's layers, names or shapes are not this model's.
        """
        if len(state) != self.n_layers:
            raise SnakegymError(f"model state: found {len(state)} layers, expected {self.n_layers}")
        for i, tensors in enumerate(state.layers):
            self.load_layer(i, tensors)

    def load_layer(self, layer: int, tensors: LayerState) -> None:
        """Makes the tensors that layer's own, without a copy. Raises SnakegymError as `load`."""
        parameters, buffers = self._parameters_of[layer], self._buffers_of[layer]
        if len(tensors) != len(parameters) + len(buffers):
            raise SnakegymError(
                f"model state, layer {layer}: found {sorted(tensors)}, "
                f"expected {sorted([*parameters, *buffers])}"
            )
        for name, parameter in parameters.items():
            tensor = tensors.get(name)
            if tensor is None or tensor.shape != parameter.shape:
                found = None if tensor is None else tuple(tensor.shape)
                raise SnakegymError(
                    f"model state, layer {layer}, '{name}': found {found}, expected {tuple(parameter.shape)}"
                )
            parameter.data = tensor
        for name, (module, key) in buffers.items():
            setattr(module, key, tensors[name])


def _buffer_slots(layer: nn.Module) -> dict[str, tuple[nn.Module, str]]:
    """Qualified buffer name to its module and its name there."""
    slots = {}
    for name, _ in layer.named_buffers():
        path, _, key = name.rpartition(".")
        slots[name] = (layer.get_submodule(path), key)
    return slots


def _own_parameters(layers: Sequence[nn.Module]) -> list[dict[str, nn.Parameter]]:
    """Name to parameter of every layer; those that the last shares with the first are the first's alone."""
    owner: dict[nn.Parameter, int] = {}
    found = []
    for i, layer in enumerate(layers):
        own = {}
        for name, parameter in layer.named_parameters():
            other = owner.setdefault(parameter, i)
            if other == i:
                own[name] = parameter
            elif other != 0 or i != len(layers) - 1:
                raise SnakegymError(
                    f"model: layer {i} shares its parameter '{name}' with layer {other}, expected layers "
                    "with parameters of their own (the last may share the first's)"
                )
        found.append(own)
    return found


def _as_made(layer: nn.Module, parameters: Mapping[str, nn.Parameter]) -> LayerState:
    """What the layer holds now; drawn parameters, of which the shape alone matters, take no memory."""
    made = {name: tensor.detach().clone() for name, tensor in layer.named_buffers()}
    for name, parameter in parameters.items():
        value = parameter.detach().flatten()[:1]
        if parameter.is_meta or not _drawable(parameter) or not parameter.numel():
            made[name] = parameter.detach().clone()
        elif (parameter == value).all():
            made[name] = value.clone().expand(parameter.shape)
        else:
            made[name] = torch.full_like(value, math.nan).expand(parameter.shape)
    return made


def _drawable(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _poison(layer: nn.Module) -> None:
    """NaN wherever a number is to be drawn: what is left of it afterwards was forgotten."""
    for parameter in layer.parameters():
        if _drawable(parameter):
            parameter.fill_(math.nan)


def _start_rest(layer: LayerState, made: LayerState) -> None:
    """Start what is still NaN (or was computed from it), and nothing else."""
    for name, tensor in layer.items():
        if tensor.is_meta or not tensor.isnan().any():
            continue
        if not made[name].isnan().any():
            tensor.copy_(made[name])
        else:  # fan in: all but the first dimension, or the only one
            fan_in = tensor[0].numel() if tensor.ndim > 1 else tensor.numel()
            tensor.normal_(0, math.sqrt(2 / fan_in))


def _initialise(module: nn.Module) -> None:
    """Children first, so that a module's own `reset_parameters` has the last word."""
    for child in module.children():
        _initialise(child)
    if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
        return
    for name in ("reset_parameters", "_reset_parameters"):  # torch's attention has the second
        if callable(reset := getattr(module, name, None)):
            reset()
            return
