"""What targets mean: the loss that is trained on, and how the metric becomes a score in [0, 1]."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final

from torch import Tensor
from torch.nn import functional

IGNORED: Final = -100
"""Stands in the targets for a token that does not count: of a question, or padding."""
EVALUATED_FLOATS: Final = 2**24
"""Outputs that are evaluated in one go, where a sample has many of them."""


@dataclass(frozen=True)
class Tally:
    """What was counted in some samples."""

    loss: float
    """Sum over all targets that count."""
    right: int
    """How many of these have the largest output."""
    n: int
    """How many targets count."""

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.loss + other.loss, self.right + other.right, self.n + other.n)


class Task(ABC):
    """One for all of a dataset: it belongs to its targets.

    Outputs are [n, ..., n_outputs], targets int64 [n, ...]; whatever is said of a target holds for those
    that count.
    """

    @property
    @abstractmethod
    def metric(self) -> str:
        """What people call the metric that the score stands for."""

    @abstractmethod
    def n_outputs(self, n_classes: int) -> int:
        """Outputs of the model for each target, in data with so many labels."""

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean loss of a batch over its targets, a scalar; 0 where none counts."""

    @abstractmethod
    def distillation_loss(
        self, outputs: Tensor, targets: Tensor, soft_targets: Tensor, temperature: float
    ) -> Tensor:
        """T² times the mean cross entropy between the teacher's and the student's softened outputs.

        The gradient of the cross entropy falls with 1 / T²; the factor keeps its share in the sum with
        the targets' loss (arXiv:1503.02531, section 2).

        Args:
            outputs: the student's.
            targets: say what counts.
            soft_targets: softmax of the teacher's outputs / T, of the same shape as `outputs`.
            temperature: T > 0; larger is softer.
        """

    @abstractmethod
    def tally(self, outputs: Tensor, targets: Tensor) -> Tally:
        """Counts a batch."""

    @abstractmethod
    def score(self, tally: Tally) -> float:
        """The metric over all samples as a number in [0, 1], larger is better: what rewards are made of."""

    @abstractmethod
    def value(self, loss: float, score: float) -> float:
        """The metric itself, from the mean loss and the score."""

    @abstractmethod
    def chunk(self, targets: Tensor) -> int:
        """Samples that are evaluated in one go."""


class Classification(Task):
    """One label a sample, int64 [n]: cross entropy of the classes' logits; the score is the accuracy."""

    @property
    def metric(self) -> str:
        """See `Task`."""
        return "accuracy"

    def n_outputs(self, n_classes: int) -> int:
        """One a class."""
        return n_classes

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """See `Task`."""
        return functional.cross_entropy(outputs, targets)

    def distillation_loss(
        self, outputs: Tensor, targets: Tensor, soft_targets: Tensor, temperature: float
    ) -> Tensor:
        """See `Task`."""
        return functional.cross_entropy(outputs / temperature, soft_targets) * temperature**2

    def tally(self, outputs: Tensor, targets: Tensor) -> Tally:
        """See `Task`."""
        loss = functional.cross_entropy(outputs, targets, reduction="sum").item()
        return Tally(loss, int((outputs.argmax(1) == targets).sum()), len(targets))

    def score(self, tally: Tally) -> float:
        """Share of samples classified right."""
        return tally.right / tally.n

    def value(self, loss: float, score: float) -> float:
        """The accuracy is its own score."""
        return score

    def chunk(self, targets: Tensor) -> int:
        """See `Task`. The activations of 2048 images leave the caches: 1.5 times the time (VGG-11)."""
        return 512


@dataclass(frozen=True)
class Language(Task):
    """Which token follows, int64 [n, length], `IGNORED` where it does not count (questions, padding).

    The loss is the mean cross entropy of the tokens that count, the metric their perplexity, exp(loss).
    The score is 1 - loss / log(n_tokens), not below 0: a model that knows nothing (all tokens alike) has
    0, one that is always right and sure 1, and what a hop gains is the fall of log-perplexity.
    """

    n_tokens: int
    """Size of the vocabulary, at least 2: outputs are [n, length, n_tokens]."""

    @property
    def metric(self) -> str:
        """See `Task`."""
        return "perplexity"

    def n_outputs(self, n_classes: int) -> int:
        """One a token, whatever the topics."""
        return self.n_tokens

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """See `Task`."""
        rows, wanted = self._counting(outputs, targets)
        return functional.cross_entropy(rows, wanted, reduction="sum") / max(1, len(wanted))

    def distillation_loss(
        self, outputs: Tensor, targets: Tensor, soft_targets: Tensor, temperature: float
    ) -> Tensor:
        """See `Task`."""
        rows, _ = self._counting(outputs, targets)
        soft, wanted = self._counting(soft_targets, targets)
        total = functional.cross_entropy(rows / temperature, soft, reduction="sum")
        return total / max(1, len(wanted)) * temperature**2

    def tally(self, outputs: Tensor, targets: Tensor) -> Tally:
        """See `Task`."""
        rows, wanted = self._counting(outputs, targets)
        loss = functional.cross_entropy(rows, wanted, reduction="sum").item()
        return Tally(loss, int((rows.argmax(1) == wanted).sum()), len(wanted))

    def score(self, tally: Tally) -> float:
        """See the class."""
        return max(0.0, 1 - tally.loss / tally.n / math.log(self.n_tokens)) if tally.n else 0.0

    def value(self, loss: float, score: float) -> float:
        """The perplexity; infinite where float64 has no number for it."""
        return math.exp(loss) if loss < 700 else math.inf

    def chunk(self, targets: Tensor) -> int:
        """See `Task`."""
        return max(1, EVALUATED_FLOATS // (targets.shape[1] * self.n_tokens))

    def _counting(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs [m, n_tokens] and targets [m] of the tokens that count."""
        counts = targets != IGNORED
        return outputs[counts], targets[counts]


CLASSIFICATION: Final = Classification()
