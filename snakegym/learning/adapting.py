"""A job that trains low-rank adapters of middle layers: which, and what becomes of them afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

from snakegym.learning.jobs import Factors, LocalTraining
from snakegym.models.adapters import beside, check_rank, grown, new_adapters
from snakegym.models.layered import LayeredModel
from snakegym.models.state import LayerState
from snakegym.scenario import LoraConfig

Adapters = Mapping[str, nn.Parameter]


def adapted_layers(model: LayeredModel, job: LocalTraining, trained: Sequence[int]) -> tuple[int, ...]:
    """Those of the trained layers of which adapters are trained alone: middle ones, if the job has a rank.

    Raises:
        SnakegymError: one of them has no products, or smaller ones than the rank.
    """
    if job.rank is None:
        return ()
    found = tuple(i for i in trained if 0 < i < model.n_layers - 1)
    check_rank(model, found, job.rank, "job")
    return found


@contextmanager
def low_rank(
    model: LayeredModel, job: LocalTraining, layers: Sequence[int], generator: torch.Generator
) -> Iterator[dict[int, Adapters]]:
    """Fresh adapters beside these layers; they are let go of afterwards."""
    with ExitStack() as stack:
        adapters: dict[int, Adapters] = {}
        for i in layers:
            adapters[i] = new_adapters(model, i, job.rank or 1, generator)
            stack.enter_context(beside(model, i, adapters[i], _scale(job)))
        yield adapters


def with_adapters(model: LayeredModel, job: LocalTraining, layer: int, adapters: Adapters) -> LayerState:
    """The layer after training, the model still as it was trained."""
    now, before = model.layer_state(layer), job.state.layers[layer]
    buffers = {name: now[name] for name in model.buffers_of(layer)}
    return grown({**before, **buffers}, adapters, _scale(job))


def factors_of(
    model: LayeredModel, job: LocalTraining, adapters: Mapping[int, Adapters]
) -> dict[int, Factors]:
    """The adapters of those layers that they alone have changed: running statistics are something else."""
    return {
        i: Factors({name: p.detach() for name, p in pairs.items()}, _scale(job))
        for i, pairs in adapters.items()
        if not model.buffers_of(i)
    }


def _scale(job: LocalTraining) -> float:
    """What the adapters' product is added with."""
    lora = job.config.lora or LoraConfig()
    return lora.alpha / (job.rank or 1)
