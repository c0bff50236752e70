"""Where the pieces of a comparison are trained: here, or in several processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch

from snakegym.training.frameworks.runs import Piece, Runner, use_device
from snakegym.training.runs.pool import Say, n_processes, working


def n_jobs(jobs: int | None, device: str, pieces: int) -> int:
    """Processes: as asked, else one a core (at most 4) on a CPU and one on a GPU."""
    return n_processes(1 if jobs is None and device.startswith("cuda") else jobs, pieces)


def train_pieces(
    runner: Runner, pieces: Sequence[Piece], jobs: int, after_round: Callable[[Piece], None]
) -> None:
    """Train all pieces; `after_round` is called here after each round of each of them.

    Raises:
        SnakegymError: bad data, model, traces or device, or a process that died.
    """
    threads = max(1, torch.get_num_threads() // jobs)
    work = partial(_train, runner)
    with working(work, pieces, jobs, heard=after_round, threads=threads) as trained:
        for _ in trained:
            pass


def _train(runner: Runner, piece: Piece, say: Say) -> None:
    use_device(runner.device, runner.comparison.tf32)
    runner.run(piece, lambda: say(piece))
