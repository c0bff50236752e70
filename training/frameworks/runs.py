"""One framework on one seed: trained round by round, kept on the disk, taken up again."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NamedTuple

import torch

from snakegym.errors import SnakegymError
from snakegym.frameworks.base import Framework
from snakegym.frameworks.problem import Problem, load_problem
from snakegym.frameworks.records import Checkpoint
from snakegym.frameworks.registry import make_framework
from snakegym.models.state import ModelState
from snakegym.training.frameworks.config import Comparison
from snakegym.training.runs.folder import read_json, replacing, write_json

CHECKPOINT_S = 10.0
"""Seconds of work that a kill may cost, about."""


class Piece(NamedTuple):
    """A framework on a seed."""

    framework: str
    seed: int

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.framework}-{self.seed}"


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

    def result(self, piece: Piece) -> dict[str, Any] | None:
        """The finished piece, or None."""
        path = self.folder / f"{piece.name}.json"
        return read_json(path) if path.exists() else None

    def rounds_done(self, piece: Piece) -> int:
        """Rounds of a piece that need not be trained again."""
        if self.result(piece) is not None:
            return self.comparison.cycles
        saved = self._saved(piece)
        return 0 if saved is None else len(saved["records"])

    def run(self, piece: Piece, after_round: Callable[[], None]) -> dict[str, Any]:
        """Train what is left of a piece; `after_round` is called after each round, and may raise.

        Raises:
            SnakegymError: whatever is wrong with data, model or traces.
        """
        if (done := self.result(piece)) is not None:
            return done
        problem = _problem(self.comparison, piece.seed, self.device)
        framework = make_framework(piece.framework, problem)
        records, wall_s = self._take_up(piece, framework)
        begun = saved = time.monotonic()
        while len(records) < self.comparison.cycles:
            records.append(framework.round().as_dict())
            if time.monotonic() - saved > CHECKPOINT_S and len(records) < self.comparison.cycles:
                self._save(piece, framework, records, wall_s + time.monotonic() - begun)
                saved = time.monotonic()
            after_round()
        result = self._result(piece, framework, records, wall_s + time.monotonic() - begun)
        write_json(self.folder / f"{piece.name}.json", result, indent=None)
        self._checkpoint(piece).unlink(missing_ok=True)
        return result

    def _take_up(self, piece: Piece, framework: Framework) -> tuple[list[dict[str, Any]], float]:
        saved = self._saved(piece)
        if saved is None:
            return [], 0.0
        state = ModelState(tuple(saved["layers"]))
        framework.restore(Checkpoint(state, saved["journal"]))
        return saved["records"], saved["wall_s"]

    def _save(self, piece: Piece, framework: Framework, records: list[dict[str, Any]], wall_s: float) -> None:
        checkpoint = framework.checkpoint()
        text = json.dumps({"journal": checkpoint.journal, "records": records, "wall_s": wall_s})
        with replacing(self._checkpoint(piece)) as path:
            torch.save({"layers": [dict(layer) for layer in checkpoint.state.layers], "text": text}, path)

    def _saved(self, piece: Piece) -> dict[str, Any] | None:
        path = self._checkpoint(piece)
        if not path.exists():
            return None
        try:
            saved = torch.load(path, map_location="cpu", weights_only=True)
            return {"layers": saved["layers"], **json.loads(saved["text"])}
        except (OSError, RuntimeError, KeyError, ValueError, UnpicklingError) as error:
            reason = type(error).__name__
            raise SnakegymError(
                f"{path}: cannot read this checkpoint ({reason}): delete it to start over"
            ) from None

    def _checkpoint(self, piece: Piece) -> Path:
        return self.folder / f"{piece.name}.pt"

    def _result(
        self, piece: Piece, framework: Framework, records: list[dict[str, Any]], wall_s: float
    ) -> dict[str, Any]:
        problem = framework.problem
        initial = {
            part: problem.engine.evaluate([problem.initial], data)[0].accuracy
            for part, data in (("validation", problem.data.validation), ("test", problem.data.test))
        }
        return {
            "framework": piece.framework,
            "seed": piece.seed,
            "device": device_name(self.device),
            "torch": torch.__version__,
            "wall_s": round(wall_s, 1),
            "samples": problem.samples,
            "model_bytes": float(problem.profile.n_bytes.sum()),
            "initial": initial,
            "rounds": _finite(records),
            "journal": framework.checkpoint().journal,
        }


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


def _finite(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """JSON knows no NaN: a round without training has no loss."""
    return [
        {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}
        for record in records
    ]
