"""The reference engine: one job after the other, in plain PyTorch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from snakegym.data.augmentation import batch_inputs
from snakegym.data.datasets import Dataset
from snakegym.data.tasks import Tally
from snakegym.errors import SnakegymError
from snakegym.learning.adapting import adapted_layers, factors_of, low_rank, with_adapters
from snakegym.learning.distillation import place_of, soft_targets, training_loss
from snakegym.learning.jobs import Evaluation, LocalTraining, TrainingResult
from snakegym.learning.quantisation import LowLayers, loaded
from snakegym.models.layered import LayeredModel
from snakegym.models.state import LayerState, ModelState
from snakegym.scenario import EarlyExitConfig, LearningConfig


class Batch(NamedTuple):
    """What one step of training is made of."""

    inputs: Tensor
    start: int
    """Layer that the inputs are for."""
    targets: Tensor
    soft_targets: Tensor | None


class SequentialEngine:
    """Trains a middle layer of a model, and what else hops train, job by job, where data and states lie.

    Between calls the module is in eval mode and wants no gradients, and no result depends on what
    it has loaded, so deep copies of an engine share it. Two threads must not.
    """

    def __init__(self, model: LayeredModel) -> None:
        self.model = model.eval().requires_grad_(False)
        self._low = LowLayers(model)

    def __deepcopy__(self, memo: dict[int, Any]) -> SequentialEngine:
        return self

    def train(self, jobs: Sequence[LocalTraining]) -> list[TrainingResult]:
        """One result a job, in order; every job starts from its own state.

        Raises:
            SnakegymError: a job whose middle layer, samples or state do not fit.
        """
        return [self._train(job) for job in jobs]

    def evaluate(self, states: Sequence[ModelState], data: Dataset) -> list[Evaluation]:
        """Mean loss and score of every state over all samples of `data`, in order."""
        return [self._evaluate(state, data) for state in states]

    @torch.enable_grad()  # whoever calls may want none for what is theirs
    def _train(self, job: LocalTraining) -> TrainingResult:
        trained = trained_layers(self.model, job)
        budget = job.n_batches if job.max_batches is None else min(job.max_batches, job.n_batches)
        if budget <= 0:
            return TrainingResult(job.state, 0, math.nan)
        adapted = adapted_layers(self.model, job, trained)
        copies = {i: self._copy(job, i, whole=i not in adapted) for i in trained}
        frozen = [i for i in range(self.model.n_layers) if i not in copies]
        state = self._low.state(job.state, frozen, job.config.frozen).replace(copies)
        generator = torch.Generator().manual_seed(job.seed)
        with loaded(self.model, state), private_randomness(generator, job.data.inputs.device):
            order = list(batches(job, budget, generator))
            batch_of = self._batches(job, order, min(trained))
            with (
                low_rank(self.model, job, adapted, generator) as adapters,
                unfrozen(self.model, trained, adapted) as parameters,
            ):
                own = [p for pairs in adapters.values() for p in pairs.values()]
                done, loss = self._run(job, [*parameters, *own], batch_of)
            changed = {i: self.model.layer_state(i) for i in trained}
            changed |= {i: with_adapters(self.model, job, i, pairs) for i, pairs in adapters.items()}
        factors = factors_of(self.model, job, adapters)
        return TrainingResult(job.state.replace(changed), done, loss / done, factors)

    def _copy(self, job: LocalTraining, layer: int, *, whole: bool) -> LayerState:
        """To be written into: all of it, or what is written even where its parameters stay."""
        tensors, buffers = job.state.layers[layer], self.model.buffers_of(layer)
        if job.in_place:
            return tensors
        return {name: t.clone() if whole or name in buffers else t for name, t in tensors.items()}

    def _batches(self, job: LocalTraining, order: Sequence[Tensor], first: int) -> Iterator[Batch]:
        """The job's batches as they reach the first layer that is trained.

        What the layers before it make of a sample is computed once where all epochs see it alike.
        """
        data, config = job.data, job.config
        soft = soft_targets(self.model, job, order)
        start = 0
        if first and config.same_passes > 1 and len(order) > job.batches_per_epoch:
            start, place = first, place_of(job)
            with torch.no_grad():
                parts = torch.split(job.indices, config.batch_size)
                table = torch.cat([self.model(data.inputs[part], stop=first) for part in parts])
            views: Iterator[Tensor] = (table[place[batch]] for batch in order)
        else:
            views = batch_inputs(data.inputs, order, config.augmentation, job.seed)
        targets = (data.targets.index_select(0, batch) for batch in order)
        return map(Batch, views, repeat(start), targets, soft)

    def _run(
        self,
        job: LocalTraining,
        parameters: list[nn.Parameter],
        batch_of: Iterator[Batch],
    ) -> tuple[int, float]:
        """Batches run, and the sum of their losses."""
        config, data = job.config, job.data
        optimizer = make_optimizer(config, parameters, job.learning_rate)
        enough = EarlyExit(config.early_exit, job.batches_per_epoch)
        total = torch.zeros((), device=data.targets.device)
        again = recomputed_layers(self.model, job)
        done = 0
        for batch in batch_of:
            optimizer.zero_grad()  # frees the last gradients before activations take their place
            logits = self.model(batch.inputs, batch.start, checkpointed=again)
            loss = training_loss(data.task, logits, batch.targets, batch.soft_targets, config.distillation)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parameters, config.clip_norm)
            optimizer.step()
            total += loss.detach()
            done += 1
            if enough(done, total) or (job.stop is not None and job.stop()):
                break
        return done, total.item()

    def _evaluate(self, state: ModelState, data: Dataset) -> Evaluation:
        task, chunk = data.task, data.task.chunk(data.targets)
        tally = Tally(0.0, 0, 0)
        with torch.no_grad(), loaded(self.model, state):
            for start in range(0, len(data), chunk):
                outputs = self.model(data.inputs[start : start + chunk])
                tally += task.tally(outputs, data.targets[start : start + chunk])
        return Evaluation(tally.loss / max(1, tally.n), task.score(tally))


class EarlyExit:
    """Says when a node has had enough: its epochs no longer bring a lower training loss.

    Args:
        config: None: it never has.
        batches_per_epoch: where the epochs end.
    """

    def __init__(self, config: EarlyExitConfig | None, batches_per_epoch: int) -> None:
        self._config = config
        self._length = batches_per_epoch
        self._sum_before = 0.0
        self._lowest = math.inf
        self._epochs_without = 0

    def __call__(self, batches: int, loss_sum: Tensor) -> bool:
        """Whether to stop after so many batches, whose losses add up to `loss_sum`."""
        if self._config is None or batches % self._length:
            return False
        mean = (loss_sum.item() - self._sum_before) / self._length
        improved = mean < self._lowest - self._config.min_improvement
        self._epochs_without = 0 if improved else self._epochs_without + 1
        self._sum_before, self._lowest = loss_sum.item(), min(self._lowest, mean)
        return self._epochs_without >= self._config.patience


def trained_layers(model: LayeredModel, job: LocalTraining) -> tuple[int, ...]:
    """Indices of the layers that the job trains: its `layers`, else those of a hop on its middle layer.

    Raises:
        SnakegymError: the middle layer does not exist, or the job has no samples.
    """
    if not 0 <= job.middle < model.n_middle:
        raise SnakegymError(f"job: found middle layer {job.middle}, expected one in [0, {model.n_middle})")
    if len(job.indices) == 0:
        raise SnakegymError("job: found no samples, expected at least one")
    if job.layers is not None:
        return job.layers
    return model.trained(job.config.trains).of(job.middle)


def recomputed_layers(model: LayeredModel, job: LocalTraining) -> tuple[int, ...]:
    """Frozen middle layers behind the first that is trained, if the job keeps their inputs alone."""
    if not job.config.checkpointed:
        return ()
    trained = trained_layers(model, job)
    return tuple(i for i in range(min(trained) + 1, model.n_layers - 1) if i not in trained)


def epoch_order(job: LocalTraining, generator: torch.Generator) -> Tensor:
    """Indices of the job's samples in the order of its next epoch."""
    return job.indices[torch.randperm(len(job.indices), generator=generator)]


def batches(job: LocalTraining, budget: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Indices into the data of the job's first `budget` batches; every epoch has its own order."""
    while budget > 0:
        for batch in torch.split(epoch_order(job, generator), job.config.batch_size)[:budget]:
            yield batch
            budget -= 1


@contextmanager
def unfrozen(
    model: LayeredModel, layers: Sequence[int], adapted: Sequence[int] = ()
) -> Iterator[list[nn.Parameter]]:
    """The parameters of these layers, trainable; gradients are freed and all is frozen afterwards.

    Of those that are `adapted` the parameters stay frozen: they are only in the mode of training.
    """
    parameters = [p for i in layers if i not in adapted for p in model.parameters_of(i).values()]
    try:
        for i in layers:
            model.layers[i].train()
        for parameter in parameters:
            parameter.requires_grad_(True)
        yield parameters
    finally:
        for parameter in parameters:
            parameter.requires_grad_(False)
            parameter.grad = None
        for i in layers:
            model.layers[i].eval()


@contextmanager
def private_randomness(generator: torch.Generator, device: torch.device) -> Iterator[None]:
    """Seeds what dropout and its like draw from, the global generators, and restores them afterwards.

    Args:
        generator: on the CPU; the seed is drawn from it.
        device: where layers are computed; a GPU has a global generator of its own.
    """
    seed = int(torch.randint(2**62, (), generator=generator))
    if device.type == "cpu":
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            yield
        return
    module = torch.get_device_module(device)
    index = module.current_device() if device.index is None else device.index
    with torch.random.fork_rng([index], device_type=device.type), module.device(index):
        torch.default_generator.manual_seed(seed)
        module.manual_seed(seed)
        yield


def make_optimizer(
    config: LearningConfig, parameters: list[nn.Parameter], learning_rate: float
) -> torch.optim.Optimizer:
    """A fresh optimiser of the configured kind over exactly these parameters.

    The fused and foreach variants are the fastest on a CPU: an Adam step of the default model takes
    0.10 ms fused, 0.25 ms foreach and 0.47 ms one tensor at a time.
    """
    match config.optimizer:
        case "adam":
            return torch.optim.Adam(parameters, lr=learning_rate, fused=True)
        case "sgd":
            return torch.optim.SGD(parameters, lr=learning_rate, fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(parameters, lr=learning_rate, foreach=True)
