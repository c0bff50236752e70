"""Checkpoints: the algorithm as SB3 saves it, with the state of the training run in the same file.

One file for both, so that a kill can never leave a model of one moment with a curve of another.
SB3 ignores members of its zip files that it does not know.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snakegym.errors import SnakegymError
from snakegym.training.runs.folder import replacing

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.vec_env import VecEnv

MEMBER = "snakegym.json"

Row = dict[str, float | int]


@dataclass
class TrainingState:
    """What a training run knows besides its model."""

    timesteps: int = 0
    episodes: int = 0
    best_timesteps: int = 0
    """When the best model on validation traces was seen."""
    best_score: float | None = None
    """Its mean return; None before the first evaluation."""
    last_evaluation: int | None = None
    """Timesteps of the last evaluation."""
    curve: list[Row] = field(default_factory=list)
    """Rows of progress.csv."""


def save_checkpoint(path: Path, model: BaseAlgorithm, state: TrainingState) -> None:
    """Replace the checkpoint in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        model.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(MEMBER, json.dumps(asdict(state)))


def read_state(path: Path) -> TrainingState:
    """The training state in a checkpoint. Raises SnakegymError if the file is damaged or another."""
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
            if broken is not None:
                raise zipfile.BadZipFile(f"checksum of {broken} is wrong")
            return TrainingState(**json.loads(archive.read(MEMBER)))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise _damaged(path, error) from None


def load_checkpoint(path: Path, cls: type[BaseAlgorithm], env: VecEnv) -> tuple[BaseAlgorithm, TrainingState]:
    """Model and training state. Raises SnakegymError if the file is damaged or does not fit `env`."""
    state = read_state(path)
    try:
        model: Any = cls.load(path, env=env, device="cpu")
    except Exception as error:  # unpickling a wrong file can fail in any way
        raise _damaged(path, error) from None
    return model, state


def _damaged(path: Path, error: Exception) -> SnakegymError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return SnakegymError(
        f"{path}: truncated or foreign file ({reason}), expected a checkpoint of this training run"
    )
