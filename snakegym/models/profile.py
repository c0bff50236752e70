"""What the layers of a model cost: measured once per model, used for every hop."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from snakegym.models import measuring
from snakegym.models.layered import LayeredModel
from snakegym.models.profile_adapters import AdapterProfile, profile_adapters
from snakegym.models.trained import TrainedSet
from snakegym.network.costs import (
    CAST_BYTES,
    checkpointed_bytes,
    hop_memory,
    teacher_flops,
    training_flops,
    weight_bytes,
)
from snakegym.scenario import LearningConfig, Precision, Trains

Floats = npt.NDArray[np.float64]

_SAMPLES = 2
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True)
class ModelProfile:
    """Size and work of every layer, float64 [n_layers] each, first to last."""

    n_bytes: Floats
    """Parameters and buffers of the layer: what a hop moves."""
    forward_flops: Floats
    """Of one sample; products and convolutions, a multiply-add counts as two."""
    frozen_backward_flops: Floats
    """Of one sample, of the way back through the layer when it only passes gradients on; nobody asks for
    those of the model's inputs, so that the first layer has none."""
    first_backward_flops: Floats
    """The same when it is the first layer that is trained, and no gradient of its inputs is needed."""
    again_flops: Floats
    """Of one sample, of computing a frozen middle layer once more on the way back; of the ends 0."""
    activation_bytes: Floats
    """What the layer keeps of one sample for the backward pass when it is trained."""
    frozen_activation_bytes: Floats
    """The same when it only passes gradients on."""
    first_activation_bytes: Floats
    """The same when it is the first layer that is trained: what comes into it is its own to keep."""
    output_bytes: Floats
    """Of what one sample is after the layer: what a cut there sends; of the last layer, the outputs."""
    n_parameters: Floats
    """Parameters of the layer, without buffers."""
    low_bytes: Mapping[Precision, Floats]
    """Parameters and buffers of the layer with the weights that can be in a precision in it."""
    scratch_bytes: Floats
    """What the layer takes for a moment while it is computed: the largest of its convolutions'
    weights twice more, with channels last in memory (torch) and as the library that computes them
    wants them (oneDNN); on the way back their gradients in the same way."""
    adapters: AdapterProfile | None = None
    """What low-rank adapters cost; None: not measured."""
    tied: bool = False
    """Whether the last layer computes with parameters of the first: see `TrainedSet`."""

    @property
    def n_middle(self) -> int:
        """Middle layers."""
        return len(self.n_bytes) - 2

    def trained(self, trains: Trains = "both-ends") -> TrainedSet:
        """What hops train of this model."""
        return TrainedSet(len(self.n_bytes), trains, self.tied)

    def training_flops(
        self,
        trains: Trains = "both-ends",
        rank: int | None = None,
        same_passes: int = 1,
        *,
        checkpointed: bool = False,
    ) -> Floats:
        """FLOPs per sample and epoch of a hop, per middle layer assigned, [n_middle].

        Args:
            trains: what else a hop trains.
            rank: of the adapters that are trained of the middle layer; None: all its parameters.
            same_passes: epochs that see a sample alike: what comes before the first layer that is trained
                is computed in the first of them alone, and its FLOPs are spread over them.
            checkpointed: whether frozen middle layers are computed once more on the way back.
        """
        layers = range(1, self.n_middle + 1)
        return np.array([self._flops(i, trains, rank, same_passes, checkpointed) for i in layers])

    def _flops(
        self, layer: int, trains: Trains, rank: int | None, same_passes: int, checkpointed: bool
    ) -> float:
        rule = self.trained(trains)
        forward, trained = self.forward_flops.copy(), set(rule.of(layer - 1))
        frozen, first = self.frozen_backward_flops.copy(), self.first_backward_flops.copy()
        if rank is not None:
            extra = self._adapters()
            forward[layer] += extra.forward_flops.at(rank)[layer]
            frozen[layer] = extra.backward_flops.at(rank)[layer]
            first[layer] = extra.first_backward_flops.at(rank)[layer]
            if min(trained) != layer:  # then it passes gradients on, as a frozen layer does
                trained.remove(layer)
        forward[: min(trained)] /= same_passes
        return training_flops(
            forward.tolist(),
            trained,
            frozen_flops=frozen.tolist(),
            first_flops=first.tolist(),
            recomputed=self.again_flops[list(rule.passing(layer - 1))].tolist() if checkpointed else (),
        )

    def hop_flops(self, learning: LearningConfig, *, rank: int | None = None) -> Floats:
        """As `training_flops`, by the rules of local training."""
        passes, again = learning.same_passes, learning.checkpointed
        return self.training_flops(learning.trains, rank, passes, checkpointed=again)

    def _adapters(self) -> AdapterProfile:
        assert self.adapters is not None, "profiled without adapters"
        return self.adapters

    def teacher_flops(self, passes: int) -> float:
        """FLOPs per sample of that many forward passes."""
        return teacher_flops(self.forward_flops.tolist(), passes)

    def weight_bytes(self, learning: LearningConfig) -> Floats:
        """Bytes of the model that a node stores during a hop, per middle layer assigned, [n_middle]."""
        frozen, trained = self._frozen_bytes(learning), self.trained(learning.trains)
        return np.array(
            [
                weight_bytes(self._trained_bytes(m + 1, learning), trained.of(m), frozen)
                for m in range(self.n_middle)
            ]
        )

    def handed_on_bytes(self, learning: LearningConfig) -> Floats:
        """[n_layers]: bytes of what a process hands on of each layer, before there are adapters beside it."""
        if not learning.low_base:
            return self.n_bytes
        found = self.low_bytes[learning.frozen].copy()
        ends = list(self.trained(learning.trains).ends)
        found[ends] = self.n_bytes[ends]
        return found

    def most_beside(self, learning: LearningConfig) -> Floats | None:
        """[n_layers]: bytes of adapters beside a layer at most; None: they are added to its weights."""
        return self._adapters().most_bytes if learning.low_base else None

    def kept_bytes(self, learning: LearningConfig) -> Floats:
        """Bytes that each sample of a node adds to a hop's memory, per middle layer assigned, [n_middle].

        Those of what comes out of the layers before the first that is trained, where it is kept for later
        epochs.
        """
        rule = self.trained(learning.trains)
        firsts = np.array([min(rule.of(m)) for m in range(self.n_middle)])
        again = learning.same_passes > 1
        return np.where((firsts > 0) & again, self.output_bytes[np.maximum(0, firsts - 1)], 0.0)

    def hop_memory(
        self, learning: LearningConfig, *, originals: bool = False, rank: int | None = None
    ) -> Floats:
        """Bytes of memory that a hop needs, per middle layer assigned, [n_middle].

        Args:
            learning: the rules of local training.
            originals: whether the node keeps quantised layers as they were beside them, as it has to where
                it hands the model on.
            rank: of the adapters that are trained of the middle layer; None: all its parameters.
        """
        return np.array([self._memory(m + 1, learning, originals, rank) for m in range(self.n_middle)])

    def _memory(self, layer: int, learning: LearningConfig, originals: bool, rank: int | None) -> float:
        rule = self.trained(learning.trains)
        trained = rule.of(layer - 1)
        activations = self.frozen_activation_bytes.copy()
        activations[list(trained)] = self.activation_bytes[list(trained)]
        activations[min(trained)] = self.first_activation_bytes[min(trained)]
        scratch, adapter_bytes = self.scratch_bytes, 0.0
        if rank is not None:
            extra = self._adapters()
            kept = extra.first_activation_bytes if min(trained) == layer else extra.activation_bytes
            activations[layer] = kept.at(rank)[layer]
            adapter_bytes = float(rank * extra.bytes_per_rank[layer])
        kept_bytes = activations.tolist()
        if learning.checkpointed:
            inputs = [0.0, *self.output_bytes[:-1].tolist()]
            kept_bytes = checkpointed_bytes(kept_bytes, inputs, rule.passing(layer - 1))
        if learning.frozen != "fp32":  # frozen weights are computed with in blocks
            scratch = np.minimum(scratch, CAST_BYTES)
            scratch[list(trained)] = self.scratch_bytes[list(trained)]
        return hop_memory(
            self._trained_bytes(layer, learning),
            kept_bytes,
            trained,
            learning.batch_size,
            learning.optimizer,
            self._frozen_bytes(learning, originals),
            scratch.max(),
            adapted=() if rank is None else (layer,),
            adapter_bytes=adapter_bytes,
        )

    def _trained_bytes(self, layer: int, learning: LearningConfig) -> list[float]:
        """Of every layer where it is trained: in full, but for the weights that only adapters lie beside."""
        found: list[float] = self.n_bytes.tolist()
        if learning.low_base:
            found[layer] = float(self.low_bytes[learning.frozen][layer])
        return found

    def _frozen_bytes(self, learning: LearningConfig, originals: bool = False) -> list[float] | None:
        if learning.frozen == "fp32":
            return None
        low = self.low_bytes[learning.frozen]
        found: list[float] = (low + self.n_bytes if originals and not learning.low_base else low).tolist()
        return found


def profile_model(model: LayeredModel, sample: Tensor, *, adapters: bool = False) -> ModelProfile:
    """Measures a copy of the model on a sample, [*input_shape]; what it holds does not matter, its type does.

    What low-rank adapters cost is measured only where they are asked for.

    FLOPs are those that `torch.utils.flop_counter` sees, so element-wise work is not counted. An
    activation that two layers keep is charged to the first of them.
    """
    model = copy.deepcopy(model).eval()  # running statistics stay out of the graph
    inputs = torch.stack([sample] * _SAMPLES)
    forward_flops, output_bytes = measuring.forward(model, inputs)
    frozen_back = measuring.flops_back(model, inputs, first=False)
    n_bytes = [sum(t.numel() * t.element_size() for t in layer.values()) for layer in model.state().layers]
    rows = {
        "n_bytes": n_bytes,
        "forward_flops": forward_flops,
        "frozen_backward_flops": frozen_back,
        "again_flops": measuring.flops_again(model, inputs, frozen_back),
        "first_backward_flops": measuring.flops_back(model, inputs, first=True),
        "activation_bytes": measuring.kept(model, inputs, True),
        "frozen_activation_bytes": measuring.kept(model, inputs, False),
        "first_activation_bytes": measuring.kept_as_first(model, inputs),
        "output_bytes": output_bytes,
        "n_parameters": [
            sum(p.numel() for p in model.parameters_of(i).values()) for i in range(model.n_layers)
        ],
        "scratch_bytes": [measuring.scratch_bytes(layer) for layer in model.layers],
    }
    arrays = {name: np.array(row, dtype=np.float64) for name, row in rows.items()}
    own = profile_adapters(model.requires_grad_(False), inputs) if adapters else None
    low = {p: np.array([measuring.bytes_in(model, i, p) for i in range(model.n_layers)]) for p in PRECISIONS}
    return ModelProfile(**arrays, low_bytes=low, adapters=own, tied=model.tied)
