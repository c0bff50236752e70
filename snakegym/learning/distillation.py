"""Knowledge distillation against forgetting: teacher is the model as received, student the one in training.

The paper (Snake Learning, DOI 10.1109/MCOM.005.2400282) names the two models and the cross entropy
between them; temperature and scaling are those of Hinton et al. (arXiv:1503.02531).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat

import torch
from torch import Tensor
from torch.nn import functional

from snakegym.data.augmentation import batch_inputs
from snakegym.data.tasks import Task
from snakegym.learning.jobs import LocalTraining
from snakegym.models.layered import LayeredModel
from snakegym.scenario import DistillationConfig


def training_loss(
    task: Task,
    outputs: Tensor,
    targets: Tensor,
    soft_targets: Tensor | None,
    config: DistillationConfig | None,
) -> Tensor:
    """The task's mean loss; plus the weighted distillation loss, if there are soft targets."""
    loss = task.loss(outputs, targets)
    if soft_targets is None or config is None:
        return loss
    return loss + config.weight * task.distillation_loss(outputs, targets, soft_targets, config.temperature)


def place_of(job: LocalTraining) -> Tensor:
    """int64 [n of the data]: where each of the job's samples stands among its `indices`."""
    place = job.indices.new_empty(len(job.data))
    place[job.indices] = torch.arange(len(job.indices), device=place.device)
    return place


def soft_targets(
    model: LayeredModel, job: LocalTraining, order: Sequence[Tensor]
) -> Iterator[Tensor] | Iterator[None]:
    """The teacher's softened outputs for every batch, all computed now; None where nothing is distilled.

    The teacher never changes, so its outputs for a sample are computed once for all epochs, and its
    weights need no place beside the student's. With augmentation every batch has outputs of its own.

    Args:
        model: with the state as received loaded, in eval mode.
        job: its config says temperature and batch size.
        order: int64 indices of each batch.
    """
    distillation = job.config.distillation
    if distillation is None or not job.distils:
        return repeat(None)

    def outputs(batches: Sequence[Tensor]) -> list[Tensor]:
        views = batch_inputs(job.data.inputs, batches, job.config.augmentation, job.seed)
        with torch.no_grad():
            return [functional.softmax(model(x) / distillation.temperature, -1) for x in views]

    if job.config.augmentation is not None:
        return iter(outputs(order))
    table = torch.cat(outputs(torch.split(job.indices, job.config.batch_size)))
    place = place_of(job)
    return (table[place[batch]] for batch in order)
