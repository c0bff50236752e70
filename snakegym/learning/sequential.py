"""The reference engine: one job after the other, in plain PyTorch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from snakegym.data.datasets import Dataset
from snakegym.errors import SnakegymError
from snakegym.learning.jobs import Evaluation, LocalTraining, TrainingResult
from snakegym.models.layered import LayeredModel
from snakegym.models.state import ModelState
from snakegym.scenario import LearningConfig

EVALUATION_CHUNK = 2048


class SequentialEngine:
    """Trains first, one middle and last layer of a model, job by job, on the CPU.

    The engine keeps nothing between calls that a result depends on, so deep copies share it. It
    works on one module, so two threads must not share it.
    """

    def __init__(self, model: LayeredModel) -> None:
        self.model = model

    def __deepcopy__(self, memo: dict[int, Any]) -> SequentialEngine:
        return self

    def train(self, jobs: Sequence[LocalTraining]) -> list[TrainingResult]:
        """One result a job, in order; every job starts from its own state.

        Raises:
            SnakegymError: a job whose middle layer, samples or state do not fit.
        """
        return [self._train(job) for job in jobs]

    def evaluate(self, states: Sequence[ModelState], data: Dataset) -> list[Evaluation]:
        """Accuracy and mean cross entropy of every state over all samples of `data`, in order."""
        return [self._evaluate(state, data) for state in states]

    def _train(self, job: LocalTraining) -> TrainingResult:
        trained = trained_layers(self.model, job)
        budget = job.n_batches if job.max_batches is None else min(job.max_batches, job.n_batches)
        if budget <= 0:
            return TrainingResult(job.state, 0, math.nan)
        parameters = self._prepare(job.state, trained)
        # Dropout and its like can only draw from the global generator.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(job.seed)
            loss = self._run(job, parameters, budget)
        return TrainingResult(self._finish(job.state, trained), budget, loss)

    def _prepare(self, state: ModelState, trained: tuple[int, ...]) -> list[nn.Parameter]:
        """Frozen layers by reference in eval mode, trained ones as copies in train mode."""
        layers = {i: {k: v.clone() for k, v in state.layers[i].items()} for i in trained}
        self.model.load(state.replace(layers))
        self.model.eval()
        for i in trained:
            self.model.layers[i].train()
        chosen = [p for i in trained for p in self.model.parameters_of(i).values()]
        self.model.requires_grad_(False)
        for parameter in chosen:
            parameter.requires_grad_(True)
        return chosen

    def _run(self, job: LocalTraining, parameters: list[nn.Parameter], budget: int) -> float:
        optimizer = make_optimizer(job.config, parameters, job.learning_rate)
        total = torch.zeros(())
        for batch in batches(job, budget):
            logits = self.model(job.data.inputs.index_select(0, batch))
            loss = functional.cross_entropy(logits, job.data.targets.index_select(0, batch))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parameters, job.config.clip_norm)
            optimizer.step()
            total += loss.detach()
        return total.item() / budget

    def _finish(self, state: ModelState, trained: tuple[int, ...]) -> ModelState:
        """The new state; gradients are freed, so that nothing of this hop reaches the next."""
        self.model.zero_grad(set_to_none=True)
        self.model.requires_grad_(False)
        return state.replace({i: self.model.layer_state(i) for i in trained})

    def _evaluate(self, state: ModelState, data: Dataset) -> Evaluation:
        self.model.load(state)
        self.model.eval()
        loss, right = 0.0, 0
        with torch.no_grad():
            for start in range(0, len(data), EVALUATION_CHUNK):
                targets = data.targets[start : start + EVALUATION_CHUNK]
                logits = self.model(data.inputs[start : start + EVALUATION_CHUNK])
                loss += functional.cross_entropy(logits, targets, reduction="sum").item()
                right += int((logits.argmax(1) == targets).sum())
        return Evaluation(loss / len(data), right / len(data))


def trained_layers(model: LayeredModel, job: LocalTraining) -> tuple[int, ...]:
    """Indices of the layers that the job trains: first, assigned middle, last.

    Raises:
        SnakegymError: the middle layer does not exist, or the job has no samples.
    """
    if not 0 <= job.middle < model.n_middle:
        raise SnakegymError(f"job: found middle layer {job.middle}, expected one in [0, {model.n_middle})")
    if len(job.indices) == 0:
        raise SnakegymError("job: found no samples, expected at least one")
    return (0, job.middle + 1, model.n_layers - 1)


def batches(job: LocalTraining, budget: int) -> Iterator[Tensor]:
    """Indices into the data of the job's first `budget` batches; every epoch has its own order."""
    generator = torch.Generator().manual_seed(job.seed)
    while budget > 0:
        order = job.indices[torch.randperm(len(job.indices), generator=generator)]
        for batch in torch.split(order, job.config.batch_size)[:budget]:
            yield batch
            budget -= 1


def make_optimizer(
    config: LearningConfig, parameters: list[nn.Parameter], learning_rate: float
) -> torch.optim.Optimizer:
    """A fresh optimiser of the configured kind over exactly these parameters."""
    match config.optimizer:
        case "adam":
            return torch.optim.Adam(parameters, lr=learning_rate, fused=True)
        case "sgd":
            return torch.optim.SGD(parameters, lr=learning_rate)
        case "rmsprop":
            return torch.optim.RMSprop(parameters, lr=learning_rate)
