"""Which samples every batch of a stack holds, and the loss on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from snakegym.learning.jobs import LocalTraining
from snakegym.learning.sequential import epoch_order

Integers = npt.NDArray[np.int64]


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
        self.active = [sum(budget > step for budget in budgets) for step in range(budgets[0])]
        """How many of the jobs are under way in each step."""
        size = max(min(len(job.indices), job.config.batch_size) for job in jobs)
        samples = np.zeros((budgets[0], len(jobs), size), np.int64)
        lengths = np.zeros((budgets[0], len(jobs), 1), np.int64)
        for k, (job, budget) in enumerate(zip(jobs, budgets, strict=True)):
            rows, lengths[:budget, k, 0] = _batches(job, budget)
            samples[:budget, k, : rows.shape[1]] = rows
        under_way = lengths[..., 0] > 0
        places, counts = samples[under_way], lengths[under_way]
        device = targets.device
        indices = torch.from_numpy(places).to(device)
        weights = torch.from_numpy((np.arange(size) < counts) / counts).to(device, dtype)
        self._jobs, self._owners = len(jobs), torch.from_numpy(np.nonzero(under_way)[1]).to(device)
        self._weights = weights.unsqueeze(2)
        self._logs = torch.zeros_like(self._weights)
        columns = (indices, targets[indices].unsqueeze(2), self._weights, -self._weights, self._logs)
        parts = zip(*(c.split_with_sizes(self.active) for c in columns), strict=True)
        self._steps = [
            step if largest == size else [part[:, :largest] for part in step]
            for step, largest in zip(parts, lengths.max((1, 2)).tolist(), strict=True)
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


def _batches(job: LocalTraining, budget: int) -> tuple[Integers, Integers]:
    """The sequential engine's batches, [budget, size], filled up with 0, and how many samples each has."""
    generator = torch.Generator().manual_seed(job.seed)
    torch.randint(2**62, (), generator=generator)  # its seed for dropout is drawn first
    n, per_epoch = len(job.indices), job.batches_per_epoch
    size = min(n, job.config.batch_size)
    epochs = -(-budget // per_epoch)
    rows = np.zeros((epochs, per_epoch * size), np.int64)
    for row in rows:
        row[:n] = epoch_order(job, generator).numpy(force=True)
    sizes = np.full((epochs, per_epoch), size)
    sizes[:, -1] = n - (per_epoch - 1) * size
    return rows.reshape(-1, size)[:budget], sizes.reshape(-1)[:budget]
