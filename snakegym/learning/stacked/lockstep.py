"""Jobs in lockstep: their parameters side by side, one batch of each in every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from snakegym.learning.jobs import LocalTraining, TrainingResult
from snakegym.learning.stacked.optimizers import StackedOptimizer
from snakegym.learning.stacked.schedule import Schedule
from snakegym.models.stacked.gradients import GradientPlan
from snakegym.models.stacked.model import StackedModel
from snakegym.models.state import LayerState, ModelState

CLIP_EPSILON = 1e-6
"""As in `torch.nn.utils.clip_grad_norm_`."""


@dataclass(frozen=True)
class Stint:
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
        self.dtype = next(t.dtype for layer in states[0].layers for t in layer.values())
        targets: list[Tensor] = []
        sources: list[Tensor] = []
        for i, names in enumerate(model.names):
            layers = [state.layers[i] for state in states]
            if not names or (i not in trained and all(layer is layers[0] for layer in layers)):
                tensors = [layers[0][name].to(device) for name in names]
                self.weights.append([t.expand(len(states), *t.shape) for t in tensors])
                continue
            shapes = [layers[0][name].shape for name in names]
            sizes = [s.numel() for s in shapes]
            self.rows[i] = row = torch.empty(len(states), sum(sizes), dtype=self.dtype, device=device)
            parts = row.split_with_sizes(sizes, 1)
            self.weights.append([p.view(len(p), *s) for p, s in zip(parts, shapes, strict=True)])
            for name, weight in zip(names, self.weights[i], strict=True):
                targets.extend(weight.unbind(0))
                sources.extend(layer[name] for layer in layers)
        if self.rows:
            torch._foreach_copy_(targets, sources)


class Lockstep:
    """Trains the jobs of one optimiser and one data set together.

    Args:
        model: their common architecture.
        stints: the one with most batches first, so that those still in training are the first n.
        device: where to train.
    """

    def __init__(self, model: StackedModel, stints: Sequence[Stint], device: torch.device) -> None:
        self.model, self.stints, self.device = model, stints, device
        self.steps = stints[0].budget
        """That were made."""
        trained = {i for stint in stints for i in stint.trained}
        self.stack = ParameterStack(model, [t.job.state for t in stints], trained, device)
        self.columns = self._columns()
        width = max((c.stop for c in self.columns.values()), default=0)
        self.gradients = torch.zeros(len(stints), width, device=device, dtype=self.stack.dtype)
        members = [
            [k for k, stint in enumerate(stints) if i in stint.trained] for i in range(len(model.names))
        ]
        weights = list(model.split(self.stack.weights))
        self.plan = GradientPlan(
            model.operations, model.layer_of, weights, members, self.columns, self.gradients
        )

    def run(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Trains all batches; one alone may be told to stop. The sum of the losses of each stint."""
        jobs, budgets = [t.job for t in self.stints], [t.budget for t in self.stints]
        schedule = Schedule(jobs, budgets, targets, self.stack.dtype)
        optimizer = self._optimizer()
        clip = torch.tensor([[job.config.clip_norm] for job in jobs]).to(self.gradients)
        stop = jobs[0].stop if len(jobs) == 1 else None
        n = 0
        for step, active in enumerate(schedule.active):
            if active != n:
                n = active
                weights = [[w[:n] for w in layer] for layer in self.stack.weights]
                bound, flat, clip = self.model.bind(weights), self.gradients[:n], clip[:n]
                self.plan.narrow(n)
                optimizer.narrow(n)
            samples = self.model.gather(inputs, schedule.indices(step))
            outputs, tape = self.model.forward(samples, bound, self.plan.lowest)
            self.model.backward(schedule.gradient(step, outputs), tape, bound, self.plan)
            norms = torch.linalg.vector_norm(flat, dim=1, keepdim=True)
            flat.mul_(clip.div(norms.add_(CLIP_EPSILON)).clamp_(max=1))
            optimizer.step()
            if stop is not None and stop():
                self.steps = step + 1
                break
        return schedule.losses()

    def _optimizer(self) -> StackedOptimizer:
        rows = {i: self.stack.rows[i].unbind(0) for i in self.columns}
        parameters = [
            [(self.columns[i], rows[i][k]) for i in stint.trained if i in rows]
            for k, stint in enumerate(self.stints)
        ]
        job = self.stints[0].job
        return StackedOptimizer(
            job.config.optimizer, parameters, self.gradients, [t.job.learning_rate for t in self.stints]
        )

    def _columns(self) -> dict[int, slice]:
        """Where the gradients of a trained layer stand in the row of a member.

        Layers that only some members train share columns where no member trains two of them; what
        a member leaves unused stays zero.
        """
        everybodys = set.intersection(*(set(stint.trained) for stint in self.stints))
        exclusive = all(len(set(stint.trained) - everybodys) <= 1 for stint in self.stints)
        columns, start = {}, 0
        trained = {i for stint in self.stints for i in stint.trained if self.model.names[i]}
        for i in sorted(trained, key=lambda i: (i not in everybodys, i)):
            columns[i] = slice(start, start + self.stack.rows[i].shape[1])
            if i in everybodys or not exclusive:
                start = columns[i].stop
        return columns

    def results(self, losses: Tensor) -> list[TrainingResult]:
        """What the training has led to, one result a stint, in order; nobody else keeps its tensors."""
        results = []
        rows = {i: self.stack.rows[i].unbind(0) for i in self.columns}
        for k, (stint, loss) in enumerate(zip(self.stints, losses.tolist(), strict=True)):
            state = stint.job.state
            new = {
                i: layer_of(rows[i][k], state.layers[i], self.model.names[i])
                for i in stint.trained
                if i in rows
            }
            done = min(stint.budget, self.steps)
            results.append(TrainingResult(state.replace(new), done, loss / done))
        return results


def layer_of(row: Tensor, like: LayerState, names: Sequence[str]) -> LayerState:
    """A copy of the parameters [n_parameters] of a layer, in the shapes of `like` and where that lies."""
    old = [like[name] for name in names]
    parts = row.to(old[0].device, copy=True).split_with_sizes([t.numel() for t in old])
    return {name: part.view(t.shape) for name, part, t in zip(names, parts, old, strict=True)}
