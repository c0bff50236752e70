"""Where the pieces of a comparison are trained: here, in several processes, or on machines of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import torch

from snakegym.training.frameworks.config import Comparison
from snakegym.training.frameworks.runs import Piece, Result, Runner, use_device
from snakegym.training.pool.packing import Packer
from snakegym.training.pool.parcel import Portable, scratch
from snakegym.training.pool.seam import Pool, Say
from snakegym.training.runs.folder import replacing


class Progress(NamedTuple):
    """What a task says after each round."""

    piece: Piece
    rounds: int
    """So far; 0 from a machine without our files: it asks for the checkpoint, if there is one."""
    checkpoint: bytes | None = None
    """Where it was written anew on such a machine."""


def train_pieces(
    pool: Pool,
    runner: Runner,
    pieces: Sequence[Piece],
    jobs: int | None,
    after_round: Callable[[Piece, int], None],
) -> None:
    """Train all pieces.

    Args:
        pool: where to.
        runner: knows what, and keeps results.
        pieces: what is to be trained.
        jobs: how many at a time, as asked; None: one a core (at most 4) on a CPU here, and one on a GPU.
        after_round: called here after each round of each piece, with the number of rounds so far.

    Raises:
        SnakegymError: bad data, model, traces or device, or processes that died.
    """
    here = not pool.is_remote
    width = pool.width(1 if here and jobs is None and runner.device.startswith("cuda") else jobs, len(pieces))
    threads = max(1, torch.get_num_threads() // width) if here else 1
    work: Any = partial(_train, runner) if here else _portable(runner, pieces)

    def hear(news: Progress) -> bytes | None:
        path = runner.checkpoint_path(news.piece)
        if not news.rounds:
            return path.read_bytes() if path.exists() else None
        if news.checkpoint is not None:
            with replacing(path) as temporary:
                temporary.write_bytes(news.checkpoint)
        after_round(news.piece, news.rounds)
        return None

    with pool.working(work, pieces, width, heard=hear, threads=threads, device=runner.device) as trained:
        for piece, result in trained:
            if not here:
                runner.keep(piece, result)


def _train(runner: Runner, piece: Piece, say: Say) -> Result:
    use_device(runner.device, runner.comparison.tf32)
    rounds = runner.rounds_done(piece)

    def after_round() -> None:
        nonlocal rounds
        rounds += 1
        say(Progress(piece, rounds))

    return runner.run(piece, after_round)


@dataclass(frozen=True)
class Away:
    """Trains pieces where none of our files are; what has to be kept is sent.

    Args:
        comparison: what is compared.
        device: where tensors lie.
        frameworks: by their names here what they are called there.
    """

    comparison: Comparison
    device: str
    frameworks: Mapping[str, str]

    def __call__(self, piece: Piece, say: Say) -> Result:
        """Train a piece, from the checkpoint that the command has of it."""
        with scratch() as folder:
            runner = Runner(self.comparison, folder, self.device)
            there = piece._replace(framework=self.frameworks[piece.framework])
            path = runner.checkpoint_path(there)
            checkpoint = say(Progress(piece, 0))
            if checkpoint is not None:
                path.write_bytes(checkpoint)

            def tell(news: Progress) -> None:
                nonlocal checkpoint
                latest = path.read_bytes() if path.exists() else checkpoint
                say(news._replace(piece=piece, checkpoint=None if latest == checkpoint else latest))
                checkpoint = latest

            return {**_train(runner, there, tell), "framework": piece.framework}


def _portable(runner: Runner, pieces: Sequence[Piece]) -> Portable:
    packer, comparison = Packer(), runner.comparison
    there = replace(
        comparison,
        scenario=packer.within(comparison.scenario),
        traces=packer.traces(comparison.traces),
    )
    names = {piece.framework: packer.part(piece.framework) for piece in pieces}
    return Portable(_away, (there, runner.device, names), packer.parcel)


def _away(options: tuple[Comparison, str, Mapping[str, str]]) -> Away:
    return Away(*options)
