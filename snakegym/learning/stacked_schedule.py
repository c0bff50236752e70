"""Which samples every batch of a stack holds, and the loss on them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from snakegym.learning.jobs import LocalTraining
from snakegym.learning.sequential import batches


class Schedule:
    """The batches of several jobs, step by step, and their mean cross entropies.

    A batch that is smaller than the largest of its step is filled up with samples of no weight.

    Args:
        jobs: the one with most batches first, so that those under way are always the first n.
        budgets: batches of each, at least 1.
        targets: int64 [n_samples] of the data that all jobs train on.
        dtype: of the model's outputs.
    """

    def __init__(
        self, jobs: Sequence[LocalTraining], budgets: Sequence[int], targets: Tensor, dtype: torch.dtype
    ) -> None:
        orders = [_order(job, budget) for job, budget in zip(jobs, budgets, strict=True)]
        self.active = [sum(budget > step for budget in budgets) for step in range(budgets[0])]
        """How many of the jobs are under way in each step."""
        rows = [orders[k][step] for step, n in enumerate(self.active) for k in range(n)]
        owners = [k for n in self.active for k in range(n)]
        device = targets.device
        lengths = torch.tensor([len(row) for row in rows])
        indices = pad_sequence(rows, batch_first=True).to(device)
        weights = ((torch.arange(indices.shape[1]) < lengths[:, None]) / lengths[:, None]).to(device, dtype)
        labels = targets[indices].unsqueeze(2)
        self._jobs, self._owners = len(jobs), torch.tensor(owners, device=device)
        self._weights = weights.unsqueeze(2)
        self._logs = torch.zeros_like(self._weights)
        largest = [max(len(orders[k][step]) for k in range(n)) for step, n in enumerate(self.active)]
        columns = (indices, labels, self._weights, -self._weights, self._logs)
        parts = zip(*(c.split_with_sizes(self.active) for c in columns), strict=True)
        self._steps = [
            step if size == indices.shape[1] else [part[:, :size] for part in step]
            for step, size in zip(parts, largest, strict=True)
        ]

    def indices(self, step: int) -> Tensor:
        """Samples of the jobs under way, [n, size of the largest batch]."""
        indices: Tensor = self._steps[step][0]
        return indices

    def gradient(self, step: int, outputs: Tensor) -> Tensor:
        """Gradient of each job's mean cross entropy with respect to its outputs [n, size, n_classes]."""
        _, labels, weights, minus, kept = self._steps[step]
        logs = torch.log_softmax(outputs, 2)
        torch.gather(logs, 2, labels, out=kept)
        return logs.exp_().mul_(weights).scatter_add_(2, labels, minus)

    def losses(self) -> Tensor:
        """Sum of the losses of the batches of each job, [n_jobs]."""
        rows = -(self._logs * self._weights).sum((1, 2))
        return rows.new_zeros(self._jobs).index_add_(0, self._owners, rows)


def _order(job: LocalTraining, budget: int) -> list[Tensor]:
    """The sequential engine's batches."""
    generator = torch.Generator().manual_seed(job.seed)
    torch.randint(2**62, (), generator=generator)  # its seed for dropout is drawn first
    return list(batches(job, budget, generator))
