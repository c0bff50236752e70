"""What a learning engine is asked to do, and what it answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from snakegym.data.datasets import Dataset
from snakegym.models.state import LayerState, ModelState
from snakegym.scenario import LearningConfig


class Measured(ABC):
    """How long a local training is."""

    config: LearningConfig

    @property
    @abstractmethod
    def own(self) -> int:
        """Samples that the node holds, at least 1."""

    @property
    def batches_per_epoch(self) -> int:
        """Batches in one pass over the node's samples; the last may be smaller."""
        return -(-self.own // self.config.batch_size)

    @property
    def n_batches(self) -> int:
        """Batches of the whole hop."""
        return self.batches_per_epoch * self.config.epochs

    @property
    def n_samples(self) -> int:
        """Samples of the whole hop: the node's own times the epochs."""
        return self.own * self.config.epochs

    def batches_within(self, n_samples: float) -> int:
        """How many batches fit completely into the first `n_samples` samples of the hop."""
        epochs, rest = divmod(n_samples, self.own)
        if epochs >= self.config.epochs:
            return self.n_batches
        return int(epochs) * self.batches_per_epoch + int(rest // self.config.batch_size)

    def samples_within(self, batches: int) -> int:
        """How many samples the first `batches` batches of the hop train on."""
        epochs, rest = divmod(batches, self.batches_per_epoch)
        return epochs * self.own + min(rest * self.config.batch_size, self.own)


@dataclass(frozen=True)
class TrainingOrder(Measured):
    """One node's training as plain data: with neither the model nor the samples."""

    middle: int
    """Middle layer to train, in [0, n_middle)."""
    samples: int
    """That the node holds."""
    config: LearningConfig
    learning_rate: float
    """The rate of the current cycle."""
    seed: int
    """Seeds the order of the samples (and dropout): same seed, same result."""
    rank: int | None = None
    """Of the adapters that are trained of a middle layer instead of its weights; None: all its parameters."""
    distil: bool = False
    """Whether the divergence of the node's labels switched distillation on."""

    @property
    def own(self) -> int:
        return self.samples

    def on(
        self, state: ModelState, data: Dataset, indices: Tensor, max_batches: int | None = None
    ) -> LocalTraining:
        """With the model as received, and the samples of the node, which `indices` of `data` are."""
        return LocalTraining(
            state=state,
            middle=self.middle,
            data=data,
            indices=indices,
            config=self.config,
            learning_rate=self.learning_rate,
            seed=self.seed,
            max_batches=max_batches,
            rank=self.rank,
            distil=self.distil,
        )


@dataclass(frozen=True)
class LocalTraining(Measured):
    """One node's serpentine training: a middle layer, with whatever the settings say, on its own samples."""

    state: ModelState
    """The model as received; never changed."""
    middle: int
    """Middle layer to train, in [0, n_middle)."""
    data: Dataset
    """The training part that `indices` point into."""
    indices: Tensor
    """int64 [n]: the node's samples, n >= 1."""
    config: LearningConfig
    learning_rate: float
    """The rate of the current cycle."""
    seed: int
    """Seeds the order of the samples (and dropout): same seed, same result."""
    max_batches: int | None = None
    """Stop after that many batches (an interrupted hop); None: all of them."""
    stop: Callable[[], bool] | None = field(default=None, compare=False)
    """Asked after every batch whether that was the last one; None: `max_batches` says."""
    layers: tuple[int, ...] | None = None
    """Layers of the whole model to train, whatever `middle` and settings say (other frameworks do)."""

    rank: int | None = None
    """Of the adapters that are trained of a middle layer instead of its weights; None: all its parameters."""

    in_place: bool = False
    """Whether the tensors of trained layers may be written into: who does so keeps no copy beside them."""

    distil: bool = False
    """Whether the divergence of the node's labels switched distillation on."""

    @property
    def plain(self) -> bool:
        """Whether labels and weights do: nothing distilled, quantised, checkpointed, augmented, cut short."""
        config = self.config
        if self.rank is not None:
            return False
        low = config.frozen != "fp32" or config.checkpointed
        special = low or config.augmentation or config.early_exit
        return not (self.distils or special)

    @property
    def distils(self) -> bool:
        """Whether a distillation loss is added."""
        distillation = self.config.distillation
        return self.distil and distillation is not None and distillation.weight > 0

    @property
    def own(self) -> int:
        return len(self.indices)


@dataclass(frozen=True)
class Factors:
    """Adapters by which a layer was changed: whoever has it as it was needs no more (`adapters.grown`)."""

    tensors: LayerState
    """By the names of the weights, with the suffixes `A` and `B`."""
    scale: float
    """Their product is added so many times."""


@dataclass(frozen=True)
class TrainingResult:
    """The model after local training."""

    state: ModelState
    """Frozen layers are the same objects as in the job's state."""
    batches: int
    loss: float
    """Mean training loss over the batches run; nan if none ran."""
    adapters: Mapping[int, Factors] = field(default_factory=dict)
    """Of the layers that changed by adapters alone, by index."""


@dataclass(frozen=True)
class Evaluation:
    """Quality of a model on a data part."""

    loss: float
    """Mean over all targets that count."""
    score: float
    """The task's metric as a number in [0, 1]; of a classification it is the accuracy."""


class Engine(Protocol):
    """Trains and evaluates models of one architecture; a list goes in, so that it may stack them."""

    def train(self, jobs: Sequence[LocalTraining]) -> list[TrainingResult]:
        """One result a job, in order."""
        ...

    def evaluate(self, states: Sequence[ModelState], data: Dataset) -> list[Evaluation]:
        """Every state on all samples of `data`, in order."""
        ...
