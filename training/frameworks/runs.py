"""One framework on one seed: trained round by round, kept on the disk, taken up again."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import torch

from snakegym.errors import SnakegymError
from snakegym.frameworks.base import Framework
from snakegym.frameworks.problem import Problem, load_problem
from snakegym.frameworks.records import Checkpoint, RoundRecord
from snakegym.frameworks.registry import make_framework
from snakegym.training.frameworks.config import Comparison
from snakegym.training.frameworks.records import (
    Accuracies,
    PieceResult,
    Saved,
    read_checkpoint,
    read_result,
    write_checkpoint,
)
from snakegym.training.runs.folder import existing_files, write_json

Result = dict[str, Any]
CHECKPOINT_S = 10.0
"""Seconds of work that a kill may cost, about."""
RESULT = re.compile(r"[^.].*-(0|[1-9][0-9]*)\.json")
"""Names of the files of finished pieces."""


class Piece(NamedTuple):
    """A framework on a seed."""

    framework: str
    seed: int

    @property
    def name(self) -> str:
        """Of its files; frameworks of one's own may have paths in their names."""
        plain = re.sub(r"[^A-Za-z0-9_-]", "_", self.framework)
        if plain != self.framework:
            plain += f"-{crc32(self.framework.encode()):08x}"
        return f"{plain}-{self.seed}"


@dataclass(frozen=True)
class Runner:
    """Trains the pieces of a comparison.

    Args:
        comparison: what is compared.
        folder: holds a file for each finished piece, and a checkpoint for each that is under way.
        device: where tensors lie.
    """

    comparison: Comparison
    folder: Path
    device: str

    def result(self, piece: Piece) -> Result | None:
        """The finished piece, or None. Raises SnakegymError if its file holds something else."""
        path = self.result_path(piece)
        if not path.exists():
            return None
        return read_result(path, piece.framework, piece.seed, rounds=self.comparison.cycles).model_dump()

    def result_path(self, piece: Piece) -> Path:
        """Where the finished piece lies, once it does."""
        return self.folder / f"{piece.name}.json"

    def problem(self, seed: int) -> Problem:
        """What is trained on a seed. Raises SnakegymError for whatever is wrong with it."""
        return _problem(self.comparison, seed, self.device)

    def finished(self) -> list[Result]:
        """All finished pieces in the folder, whoever asked for them; what else lies there is none.

        Raises:
            SnakegymError: a file that bears the name of a finished piece holds something else.
        """
        names = [name for name in existing_files(self.folder) if RESULT.fullmatch(name)]
        found = [read_result(self.folder / name, rounds=self.comparison.cycles) for name in names]
        for name, result in zip(names, found, strict=True):
            if self.result_path(Piece(result.framework, result.seed)).name != name:
                raise SnakegymError(
                    f"{self.folder / name}: found '{result.framework}' on seed {result.seed}, expected what "
                    "its name says (delete the file to train it again)"
                )
        return [result.model_dump() for result in found]

    def rounds_done(self, piece: Piece) -> int:
        """Rounds of a piece that need not be trained again."""
        if self.result(piece) is not None:
            return self.comparison.cycles
        saved = self._saved(piece)
        return 0 if saved is None else len(saved.records)

    def run(self, piece: Piece, after_round: Callable[[], None]) -> Result:
        """Train what is left of a piece; `after_round` is called after each round, and may raise.

        Raises:
            SnakegymError: whatever is wrong with data, model or traces.
        """
        if (done := self.result(piece)) is not None:
            return done
        framework = make_framework(piece.framework, self.problem(piece.seed))
        records, wall_s = self._take_up(piece, framework)
        begun = saved = time.monotonic()
        while len(records) < self.comparison.cycles:
            records.append(framework.round())
            if time.monotonic() - saved > CHECKPOINT_S and len(records) < self.comparison.cycles:
                self._save(piece, framework, records, wall_s + time.monotonic() - begun)
                saved = time.monotonic()
            after_round()
        result = self._result(piece, framework, records, wall_s + time.monotonic() - begun).model_dump()
        self.keep(piece, result)
        return result

    def keep(self, piece: Piece, result: Result) -> None:
        """Keep a finished piece. Raises SnakegymError if that is impossible."""
        write_json(self.result_path(piece), result, indent=None)
        self.checkpoint_path(piece).unlink(missing_ok=True)

    def _take_up(self, piece: Piece, framework: Framework) -> tuple[list[RoundRecord], float]:
        saved = self._saved(piece)
        if saved is None:
            return [], 0.0
        try:
            framework.restore(Checkpoint(tuple(saved.layers), saved.journal))
            if framework.rounds != len(saved.records):
                raise SnakegymError(
                    f"field 'journal.rounds': found {framework.rounds}, but {len(saved.records)} records"
                )
            json.dumps(framework.log(), allow_nan=False)  # whatever no result could hold is found out now
        except (SnakegymError, LookupError, ArithmeticError, TypeError, ValueError) as error:
            reason = error if isinstance(error, SnakegymError) else repr(error)
            raise SnakegymError(
                f"{self.checkpoint_path(piece)}: {reason}, "
                "expected a checkpoint of this comparison: delete the file to start over"
            ) from None
        return saved.records, saved.wall_s

    def _save(self, piece: Piece, framework: Framework, records: list[RoundRecord], wall_s: float) -> None:
        checkpoint = framework.checkpoint()
        layers = [dict(layer) for layer in checkpoint.layers]
        write_checkpoint(self.checkpoint_path(piece), Saved(layers, checkpoint.journal, records, wall_s))

    def _saved(self, piece: Piece) -> Saved | None:
        path = self.checkpoint_path(piece)
        return read_checkpoint(path) if path.exists() else None

    def checkpoint_path(self, piece: Piece) -> Path:
        """Where the checkpoint of a piece under way lies."""
        return self.folder / f"{piece.name}.pt"

    def _result(
        self, piece: Piece, framework: Framework, records: list[RoundRecord], wall_s: float
    ) -> PieceResult:
        problem = framework.problem
        validation, test = (
            problem.engine.evaluate([problem.initial], part)[0]
            for part in (problem.data.validation, problem.data.test)
        )
        return PieceResult(
            framework=piece.framework,
            seed=piece.seed,
            device=device_name(self.device),
            torch=torch.__version__,
            wall_s=round(wall_s, 1),
            samples=problem.samples,
            model_bytes=float(problem.profile.n_bytes.sum()),
            initial=Accuracies(validation=validation.score, test=test.score, test_loss=_finite(test.loss)),
            rounds=records,
            journal=framework.log(),
            metric=problem.data.test.task.metric,
            topics=_by_topic(framework),
        )


def _by_topic(framework: Framework) -> dict[str, float]:
    """Test loss on the samples of each topic that has any, in nats; empty where there are no topics."""
    test, names = framework.problem.data.test, framework.problem.data.topics
    found = {}
    for topic, name in enumerate(names):
        own = test.part(test.labels == topic)
        loss = framework.problem.engine.evaluate([framework.model_state], own)[0].loss if len(own) else None
        if loss is not None and math.isfinite(loss):
            found[name] = loss
    return found


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def use_device(device: str, tf32: bool) -> None:
    """Set torch up for honest and repeatable numbers.

    Raises:
        SnakegymError: no such device.
    """
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise SnakegymError(
            f"--device: found '{device}', expected one that torch can use ({reason})"
        ) from None
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.deterministic = True


def device_name(device: str) -> str:
    """For people."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else "CPU"


@lru_cache(maxsize=1)
def _cached_problem(comparison_key: str, seed: int, device: str) -> Problem:
    comparison = _COMPARISONS[comparison_key]
    return load_problem(
        comparison.scenario, seed, split=comparison.split, traces=comparison.traces, device=device
    )


_COMPARISONS: dict[str, Comparison] = {}


def _problem(comparison: Comparison, seed: int, device: str) -> Problem:
    """The problem of a seed; the one used last is kept, as several frameworks meet it in turn."""
    key = json.dumps(comparison.identity(), sort_keys=True)
    _COMPARISONS[key] = comparison
    return _cached_problem(key, seed, device)
