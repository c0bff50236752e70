"""Jobs in lockstep: their parameters side by side, one batch of each in every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from snakegym.learning.jobs import LocalTraining, TrainingResult
from snakegym.learning.sequential import batches
from snakegym.learning.stacked_optimizers import StackedOptimizer
from snakegym.models.stacked import StackedModel
from snakegym.models.stacked_gradients import GradientPlan
from snakegym.models.state import LayerState, ModelState

CLIP_EPSILON = 1e-6
"""As in `torch.nn.utils.clip_grad_norm_`."""


@dataclass(frozen=True)
class Task:
    """A job, and what has been settled about it."""

    job: LocalTraining
    trained: tuple[int, ...]
    """Layers to train, in rising order."""
    budget: int
    """Batches to train, at least 1."""


class ParameterStack:
    """The parameters of K states side by side, layer by layer.

    A layer that nobody trains and all states share is not copied.
    """

    def __init__(
        self, model: StackedModel, states: Sequence[ModelState], trained: set[int], device: torch.device
    ) -> None:
        self.rows: dict[int, Tensor] = {}
        """Of the layers that were copied: [K, n_parameters]."""
        self.weights: list[list[Tensor]] = []
        """Per layer its parameters, each [K, *shape], views into `rows`."""
        self._names = model.names
        self.dtype = next(t.dtype for layer in states[0].layers for t in layer.values())
        for i, names in enumerate(model.names):
            layers = [state.layers[i] for state in states]
            shapes = [layers[0][name].shape for name in names]
            if i not in trained and all(layer is layers[0] for layer in layers):
                tensors = [layers[0][name].to(device) for name in names]
                self.weights.append([t.expand(len(states), *t.shape) for t in tensors])
            elif names:
                row = torch.cat([layer[name].flatten() for layer in layers for name in names])
                self.rows[i] = row = row.to(device).view(len(states), -1)
                parts = row.split_with_sizes([s.numel() for s in shapes], 1)
                self.weights.append([p.view(len(p), *s) for p, s in zip(parts, shapes, strict=True)])
            else:
                self.weights.append([])

    def layer(self, member: int, layer: int, like: LayerState) -> LayerState:
        """A copy of one member's layer, where the tensors of `like` lie."""
        names = self._names[layer]
        if not names:
            return like
        row = self.rows[layer][member].to(like[names[0]].device, copy=True)
        parts = row.split_with_sizes([like[name].numel() for name in names])
        return {name: p.view(like[name].shape) for name, p in zip(names, parts, strict=True)}


class Lockstep:
    """Trains the jobs of one optimiser and one data set together.

    Args:
        model: their common architecture.
        tasks: the one with most batches first, so that those still in training are the first n.
        device: where to train.
    """

    def __init__(self, model: StackedModel, tasks: Sequence[Task], device: torch.device) -> None:
        self.model, self.tasks, self.device = model, tasks, device
        self.trained = sorted({i for task in tasks for i in task.trained})
        self.stack = ParameterStack(model, [t.job.state for t in tasks], set(self.trained), device)
        self.columns = self._columns()
        width = max((c.stop for c in self.columns.values()), default=0)
        self.gradients = torch.zeros(len(tasks), width, device=device, dtype=self.stack.dtype)
        self.clip = torch.tensor(
            [[t.job.config.clip_norm] for t in tasks], device=device, dtype=self.stack.dtype
        )

    def run(self, inputs: Tensor, targets: Tensor) -> list[TrainingResult]:
        """Trains all batches and returns one result a task, in order."""
        schedule = _Schedule(self.tasks, targets, self.stack.dtype)
        parameters = [
            [(self.columns[i], self.stack.rows[i][k]) for i in task.trained if i in self.columns]
            for k, task in enumerate(self.tasks)
        ]
        rates = [task.job.learning_rate for task in self.tasks]
        optimizer = StackedOptimizer(self.tasks[0].job.config.optimizer, parameters, self.gradients, rates)
        ends = sorted({task.budget for task in self.tasks})
        for start, end in pairwise([0, *ends]):
            n = sum(task.budget > start for task in self.tasks)
            weights = [[w[:n] for w in layer] for layer in self.stack.weights]
            bound, flat, clip = self.model.bind(weights), self.gradients[:n], self.clip[:n]
            plan = GradientPlan(self.model, weights, self._members(n), self.columns, flat)
            optimizer.narrow(n)
            for step in range(start, end):
                x = self.model.gather(inputs, schedule.indices(step, n))
                outputs, tape = self.model.forward(x, bound)
                self.model.backward(schedule.gradient(step, outputs), tape, bound, plan)
                norms = torch.linalg.vector_norm(flat, dim=1, keepdim=True)
                flat.mul_(clip.div(norms.add_(CLIP_EPSILON)).clamp_(max=1))
                optimizer.step()
        return self._results(schedule.losses())

    def _columns(self) -> dict[int, slice]:
        """Where the gradients of a trained layer stand in the row of a member.

        Layers that only some members train share columns where no member trains two of them; what
        a member leaves unused stays zero.
        """
        everybodys = set.intersection(*(set(task.trained) for task in self.tasks))
        exclusive = all(len(set(task.trained) - everybodys) <= 1 for task in self.tasks)
        columns, start = {}, 0
        for i in sorted(self.stack.rows.keys() & set(self.trained), key=lambda i: (i not in everybodys, i)):
            columns[i] = slice(start, start + self.stack.rows[i].shape[1])
            if i in everybodys or not exclusive:
                start = columns[i].stop
        return columns

    def _members(self, n: int) -> list[list[int]]:
        """Who of the first n members trains a layer, for every layer."""
        layers = range(len(self.model.names))
        return [[k for k, task in enumerate(self.tasks[:n]) if i in task.trained] for i in layers]

    def _results(self, losses: Tensor) -> list[TrainingResult]:
        results = []
        for k, (task, loss) in enumerate(zip(self.tasks, losses.tolist(), strict=True)):
            state = task.job.state
            new = {i: self.stack.layer(k, i, state.layers[i]) for i in task.trained}
            results.append(TrainingResult(state.replace(new), task.budget, loss / task.budget))
        return results


class _Schedule:
    """The samples of every batch of every task, and the loss on them.

    A batch that is smaller than others of its step is filled up with samples of no weight.
    """

    def __init__(self, tasks: Sequence[Task], targets: Tensor, dtype: torch.dtype) -> None:
        steps, size = tasks[0].budget, max(task.job.config.batch_size for task in tasks)
        indices = torch.zeros(steps, len(tasks), size, dtype=torch.int64)
        sizes = torch.zeros(steps, len(tasks), 1, dtype=dtype)
        for k, task in enumerate(tasks):
            generator = torch.Generator().manual_seed(task.job.seed)
            torch.randint(2**62, (), generator=generator)  # the sequential engine's seed for dropout
            for step, batch in enumerate(batches(task.job, task.budget, generator)):
                indices[step, k, : len(batch)] = batch
                sizes[step, k] = len(batch)
        self._sizes = sizes[:, :, 0].amax(1).int().tolist()
        self._indices = indices.to(targets.device)
        self._labels = targets[self._indices].unsqueeze(3)
        weights = (torch.arange(size) < sizes) / sizes.clamp_(min=1)
        self._weights = weights.to(targets.device).unsqueeze(3)
        self._logs = torch.zeros_like(self._weights)
        self._minus_one = torch.full((), -1.0, device=targets.device, dtype=dtype)

    def indices(self, step: int, n: int) -> Tensor:
        """Samples of the first n tasks in a step, [n, size of the largest batch]."""
        return self._indices[step, :n, : self._sizes[step]]

    def gradient(self, step: int, outputs: Tensor) -> Tensor:
        """Gradient of each task's mean cross entropy with respect to its outputs [n, size, n_classes]."""
        n, size, _ = outputs.shape
        labels = self._labels[step, :n, :size]
        logs = outputs.log_softmax(2)
        self._logs[step, :n, :size] = logs.gather(2, labels)
        grad = logs.exp_().scatter_add_(2, labels, self._minus_one.expand_as(labels))
        return grad.mul_(self._weights[step, :n, :size])

    def losses(self) -> Tensor:
        """Sum of the losses of the batches of each task."""
        return -(self._logs * self._weights).sum((0, 2, 3))
