"""The plain PyTorch loop with which everything is compared."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from snakegym.data.datasets import Dataset
from snakegym.learning.jobs import LocalTraining
from snakegym.models.layered import LayeredModel
from snakegym.models.state import ModelState


class PlainLoop:
    """What one would write by hand: a model, an optimiser over three layers, a loop.

    Args:
        model: freshly built, for this loop alone.
        validation: what a hop is evaluated on; everything is computed where it lies.
    """

    def __init__(self, model: LayeredModel, validation: Dataset) -> None:
        self.model, self.validation = model, validation
        device, layers = validation.inputs.device, model.initial_state(0).layers
        own = [{name: t.to(device, copy=True) for name, t in layer.items()} for layer in layers]
        model.load(ModelState(tuple(own)))

    def train(self, job: LocalTraining, batches: int) -> None:
        """The first `batches` batches of the job, of its node and layer."""
        self.model.requires_grad_(False)
        layers = [self.model.layers[i] for i in (0, job.middle + 1, self.model.n_layers - 1)]
        trained = [p.requires_grad_(True) for layer in layers for p in layer.parameters()]
        optimizer = torch.optim.Adam(trained, lr=job.learning_rate, fused=True)
        while batches > 0:
            order = job.indices[torch.randperm(len(job.indices))]
            for batch in torch.split(order, job.config.batch_size)[:batches]:
                loss = functional.cross_entropy(self.model(job.data.inputs[batch]), job.data.targets[batch])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(trained, job.config.clip_norm)
                optimizer.step()
                batches -= 1

    def evaluate(self) -> float:
        """Accuracy on the validation part."""
        with torch.no_grad():
            right = self.model(self.validation.inputs).argmax(1) == self.validation.targets
        return float(right.float().mean())
