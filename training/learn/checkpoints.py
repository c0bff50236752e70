"""Checkpoints: the algorithm as SB3 saves it, with the state of the training run in the same file.

One file for both, so that a kill can never leave a model of one moment with a curve of another.
SB3 ignores members of its zip files that it does not know. What SB3 pickles into them is for users of SB3
alone: we go on from tensors and our own state, and run nothing that a file contains.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import AfterValidator, ConfigDict, Field
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from snakegym.agents.trained.checkpoint import STAMP, Checkpoint, open_checkpoint
from snakegym.agents.trained.weights import policy_weights, size_of
from snakegym.training.runs.folder import replacing

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

Row = dict[str, float | int]

MOST_STATE_BYTES = 3
"""Bytes that an optimiser may keep for each byte of weights: Adam keeps two."""


def _has_steps(row: Row) -> Row:
    if not {"timesteps", "episodes"} <= row.keys():
        raise ValueError("found no 'timesteps' or 'episodes' in a row of the curve")
    return row


_Count = Annotated[int, Field(ge=0)]


@dataclass
class TrainingState:
    """What a training run knows besides its model."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    algo: str = ""
    """Name of the algorithm."""
    timesteps: _Count = 0
    episodes: _Count = 0
    updates: _Count = 0
    """Passes over rollouts so far, as the algorithm counts them."""
    best_timesteps: _Count = 0
    """When the best model on validation traces was seen."""
    best_score: float | None = None
    """Its mean return; None before the first evaluation."""
    last_evaluation: _Count | None = None
    """Timesteps of the last evaluation."""
    return_scale: Annotated[list[float], Field(max_length=3)] = field(default_factory=list)
    """Mean, variance and count of the returns that rewards are scaled by; empty where they are not."""
    curve: list[Annotated[Row, AfterValidator(_has_steps)]] = field(default_factory=list)
    """Rows of progress.csv and learner.csv."""


def save_checkpoint(path: Path, model: BaseAlgorithm, state: TrainingState) -> None:
    """Replace the checkpoint in one step."""
    state.updates = getattr(model, "_n_updates", 0)
    env = model.get_env()
    if isinstance(env, VecNormalize):
        scale = env.ret_rms
        state.return_scale = [float(scale.mean), float(scale.var), float(scale.count)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        model.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(STAMP, json.dumps(asdict(state), allow_nan=False))


def restore_scale(env: VecEnv | None, state: TrainingState) -> None:
    """Scale rewards as before the checkpoint, if they are scaled."""
    if isinstance(env, VecNormalize) and len(state.return_scale) == 3:
        scale = env.ret_rms
        scale.mean, scale.var, scale.count = np.float64(state.return_scale[0]), *state.return_scale[1:]  # type: ignore[assignment, unused-ignore]


def read_state(path: Path) -> TrainingState:
    """The training state in a checkpoint. Raises SnakegymError if the file is damaged or another."""
    with open_checkpoint(path) as checkpoint:
        return checkpoint.stamp(TrainingState)


def load_checkpoint(path: Path, model: BaseAlgorithm, algo: str) -> TrainingState:
    """Put a checkpoint's weights and optimiser into a fresh algorithm of the same settings.

    Args:
        path: of the checkpoint.
        model: changed in place, if all is well.
        algo: name of its algorithm.

    Returns:
        The training state.

    Raises:
        SnakegymError: the file is damaged, or of another algorithm or policy.
    """
    fresh: dict[str, Any] = model.get_parameters()
    bytes_of_weights = size_of(fresh["policy"])
    with open_checkpoint(path) as checkpoint:
        weights = policy_weights(checkpoint, algo, fresh["policy"])
        state = checkpoint.stamp(TrainingState)
        optimizer = checkpoint.tensors("policy.optimizer.pth", MOST_STATE_BYTES * bytes_of_weights)
        _check_optimizer(checkpoint, optimizer, model)
    parameters: dict[str, Any] = {"policy": weights, "policy.optimizer": optimizer}
    try:
        model.set_parameters(parameters, device="cpu")
    except Exception as error:  # the optimiser's state is checked by PyTorch as it is taken
        raise checkpoint.damaged(error) from None
    model.num_timesteps = state.timesteps
    model._n_updates = state.updates
    return state


def _check_optimizer(checkpoint: Checkpoint, found: Mapping[str, Any], model: BaseAlgorithm) -> None:
    """Whether this is the state of an optimiser of the model's weights. Raises SnakegymError if not."""
    shapes = [tuple(parameter.shape) for parameter in model.policy.parameters()]
    try:
        kept = {
            shapes[index] == tuple(value.shape)
            for index, values in found["state"].items()
            for value in values.values()
            if getattr(value, "ndim", 0)
        }
    except (KeyError, IndexError, AttributeError, TypeError) as error:
        raise checkpoint.damaged(error) from None
    if False in kept:
        raise checkpoint.error("the optimiser of other weights")
