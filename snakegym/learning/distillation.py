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
from snakegym.learning.jobs import LocalTraining
from snakegym.models.layered import LayeredModel
from snakegym.scenario import DistillationConfig


def distillation_loss(logits: Tensor, soft_targets: Tensor, temperature: float) -> Tensor:
    """T² times the mean cross entropy between the teacher's and the student's softened outputs.

    The gradient of the cross entropy falls with 1 / T²; the factor keeps its share in the sum with
    the labels' loss (arXiv:1503.02531, section 2).

    Args:
        logits: [n, n_classes], the student's.
        soft_targets: [n, n_classes], softmax of the teacher's logits / T; rows sum to 1.
        temperature: T > 0; larger is softer.
    """
    return functional.cross_entropy(logits / temperature, soft_targets) * temperature**2


def training_loss(
    logits: Tensor, targets: Tensor, soft_targets: Tensor | None, config: DistillationConfig | None
) -> Tensor:
    """Mean cross entropy with the labels, int64 [n]; plus the weighted distillation loss, if there is one."""
    loss = functional.cross_entropy(logits, targets)
    if soft_targets is None or config is None:
        return loss
    return loss + config.weight * distillation_loss(logits, soft_targets, config.temperature)


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
            return [functional.softmax(model(x) / distillation.temperature, 1) for x in views]

    if job.config.augmentation is not None:
        return iter(outputs(order))
    table = torch.cat(outputs(torch.split(job.indices, job.config.batch_size)))
    place = job.indices.new_empty(len(job.data))
    place[job.indices] = torch.arange(len(job.indices), device=place.device)
    return (table[place[batch]] for batch in order)
