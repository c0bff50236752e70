"""Training a model that is cut into parts, each of which could lie somewhere else.

Only tensors cross a cut: activations forwards, their gradients backwards. The parts have an
optimiser each and clip their own gradients, as nobody sees those of all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from snakegym.data.augmentation import batch_inputs
from snakegym.data.tasks import CLASSIFICATION, Task
from snakegym.learning.jobs import LocalTraining, TrainingResult
from snakegym.learning.sequential import batches, make_optimizer, private_randomness, unfrozen
from snakegym.models.layered import LayeredModel
from snakegym.models.state import LayerState

Part = Sequence[nn.Module]


def train_pipeline(model: LayeredModel, job: LocalTraining, parts: Sequence[range]) -> TrainingResult:
    """Local training with the model cut into `parts`: gradients are those of the uncut model.

    Args:
        model: the module to train in; nothing that it has loaded is used.
        job: state, samples, settings and seed; its layers are not looked at.
        parts: the layers of each part, in order, all layers of the model together.
    """
    with _loaded(model, job) as generator, ExitStack() as stack:
        parameters = [stack.enter_context(unfrozen(model, part)) for part in parts]
        optimizers = [make_optimizer(job.config, p, job.learning_rate) for p in parameters]
        modules = [[model.layers[i] for i in part] for part in parts]
        total = torch.zeros((), device=job.data.targets.device)
        for inputs, targets in _samples(job, generator):
            total += forward_backward(modules, inputs, targets, job.data.task)
            for held, optimizer in zip(parameters, optimizers, strict=True):
                step(held, optimizer, job.config.clip_norm)
        return TrainingResult(model.state(), job.n_batches, total.item() / job.n_batches)


def train_with_local_loss(
    model: LayeredModel, head: nn.Module, job: LocalTraining, cut: int
) -> tuple[TrainingResult, float]:
    """Local training in which no gradient crosses the cut: the client learns from its own loss.

    Args:
        model: the module to train in.
        head: the auxiliary network on the client's activations; trained in place.
        job: state, samples, settings and seed; its layers are not looked at.
        cut: layers of the client.

    Returns:
        The result, with the loss of the server's part, and the mean loss of the client's head.
    """
    client, server, task = range(cut), range(cut, model.n_layers), job.data.task
    with _loaded(model, job) as generator, unfrozen(model, client) as own, unfrozen(model, server) as others:
        own = [*own, *head.requires_grad_(True).parameters()]
        optimizers = [make_optimizer(job.config, p, job.learning_rate) for p in (own, others)]
        near, far = [model.layers[i] for i in client], [model.layers[i] for i in server]
        losses = torch.zeros(2, device=job.data.targets.device)
        for inputs, targets in _samples(job, generator):
            smashed = _forward(near, inputs)
            local = task.loss(head(smashed), targets)
            final = task.loss(_forward(far, smashed.detach()), targets)
            local.backward()  # type: ignore[no-untyped-call]
            final.backward()  # type: ignore[no-untyped-call]
            for held, optimizer in zip((own, others), optimizers, strict=True):
                step(held, optimizer, job.config.clip_norm)
            losses += torch.stack([final.detach(), local.detach()])
        head.requires_grad_(False)
        final_loss, local_loss = (losses / job.n_batches).tolist()
        return TrainingResult(model.state(), job.n_batches, final_loss), local_loss


def forward_backward(
    parts: Sequence[Part], inputs: Tensor, targets: Tensor, task: Task = CLASSIFICATION
) -> Tensor:
    """Loss of a batch; leaves gradients in the parameters of all parts, as if there were no cuts.

    Args:
        parts: modules in a row each, the last of which gives logits.
        inputs: [n, *shape].
        targets: int64 [n].
        task: what they mean.
    """
    received, sent = [], []
    x = inputs
    for i, part in enumerate(parts):
        x = x.detach().requires_grad_(i > 0)
        received.append(x)
        x = _forward(part, x)
        sent.append(x)
    loss = task.loss(x, targets)
    loss.backward()  # type: ignore[no-untyped-call]
    for output, following in zip(sent[-2::-1], received[:0:-1], strict=True):
        output.backward(following.grad)  # type: ignore[no-untyped-call]
    return loss.detach()


def step(parameters: list[nn.Parameter], optimizer: torch.optim.Optimizer, clip_norm: float) -> None:
    """Clip, step, and forget the gradients."""
    nn.utils.clip_grad_norm_(parameters, clip_norm)
    optimizer.step()
    optimizer.zero_grad()


@contextmanager
def _loaded(model: LayeredModel, job: LocalTraining) -> Iterator[torch.Generator]:
    """The model with copies of the job's tensors, and its generator of sample orders."""
    model.load(job.state.replace({i: _copied(layer) for i, layer in enumerate(job.state.layers)}))
    generator = torch.Generator().manual_seed(job.seed)
    with private_randomness(generator, job.data.inputs.device):
        yield generator


def _samples(job: LocalTraining, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs and targets of every batch, as the engine would take them."""
    order = list(batches(job, job.n_batches, generator))
    views = batch_inputs(job.data.inputs, order, job.config.augmentation, job.seed)
    for inputs, index in zip(views, order, strict=True):
        yield inputs, job.data.targets.index_select(0, index)


def _copied(layer: LayerState) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in layer.items()}


def _forward(part: Part, x: Tensor) -> Tensor:
    for module in part:
        x = module(x)
    return x
