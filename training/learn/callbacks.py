"""What happens beside learning: counting, evaluating, saving, drawing the progress bar."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter, Logger

from snakegym.envs.reward import TERMS
from snakegym.errors import SnakegymError
from snakegym.training.learn.checkpoints import Row, TrainingState, save_checkpoint
from snakegym.training.learn.logged import accuracy_by_hop, metrics_of
from snakegym.training.learn.validation import METRICS, Validator
from snakegym.training.runs.conventions import Evaluations, Monitor, link_best
from snakegym.training.runs.folder import to_csv, write_text
from snakegym.training.runs.progress import progress
from snakegym.training.tracking.tracker import Tracker

Listener = Callable[[Mapping[str, float], int], bool]
"""Told of metrics at a number of environment steps; says whether the training is to go on."""
TOTALS = ("time_s", "energy_j", "n_bytes", "hops", "waits", "illegal", "interruptions")
"""Keys of the info at the end of an episode."""
TRAIN_COLUMNS = ("return", *(f"reward_{term}" for term in TERMS), "accuracy", *TOTALS)
COLUMNS = (
    "timesteps",
    "episodes",
    *(f"train_{c}" for c in TRAIN_COLUMNS),
    *(f"validation_{'return' if c == 'total_reward' else c.removeprefix('validation_')}" for c in METRICS),
)
"""Columns of progress.csv; a training cell is the mean over the episodes that ended in the rollout."""


class LastMetrics(KVWriter):
    """Keeps what the algorithm logged last, under its own names: `train/loss`, `time/fps` and so on."""

    def __init__(self) -> None:
        self._logger = Logger(None, [self])
        self._written: dict[str, Any] = {}

    def attach(self, model: BaseAlgorithm) -> None:
        """Listen to this algorithm, and to nothing else: SB3 would print its metrics."""
        model.set_logger(self._logger)

    def write(self, key_values: dict[str, Any], key_excluded: Any, step: int = 0) -> None:
        """Called by SB3 after a rollout, with the metrics of the update before it."""
        self._written = dict(key_values)

    def take(self) -> Row:
        """Finite numbers of the last rollout and of the update after it."""
        metrics = self._written | dict(self._logger.name_to_value)
        return {name: float(v) for name, v in metrics.items() if np.ndim(v) == 0 and np.isfinite(v)}

    def close(self) -> None:
        """Nothing to close."""


class EpisodeCounter:
    """Adds up rewards per environment and averages the episodes that ended since the last look."""

    def __init__(self, n_envs: int) -> None:
        self._sums = [self._zero() for _ in range(n_envs)]
        self._ended: list[dict[str, float]] = []

    def add(self, infos: list[dict[str, Any]], dones: Any) -> int:
        """Book one step of all environments; how many episodes it ended."""
        for i, (info, done) in enumerate(zip(infos, dones, strict=True)):
            for term in TERMS:
                self._sums[i][term] += info[f"reward_{term}"]
            if done:
                self._ended.append(self._episode(self._sums[i], info))
                self._sums[i] = self._zero()
        return int(np.sum(dones))

    def take(self) -> Row:
        """Means over the episodes that ended, under TRAIN_COLUMNS; empty if none did."""
        ended, self._ended = self._ended, []
        return {f"train_{c}": float(np.mean([e[c] for e in ended])) for c in TRAIN_COLUMNS} if ended else {}

    @staticmethod
    def _zero() -> dict[str, float]:
        return dict.fromkeys(TERMS, 0.0)

    @staticmethod
    def _episode(sums: dict[str, float], info: dict[str, Any]) -> dict[str, float]:
        terms = {f"reward_{term}": value for term, value in sums.items()}
        return {
            "return": sum(sums.values()),
            "accuracy": float(info["metric"]),
            **terms,
            **{key: float(info[key]) for key in TOTALS},
        }


class RunRecorder(BaseCallback):
    """Between two rollouts: note the curve, evaluate, keep the best model, save a checkpoint.

    A rollout begins when the update before it is done, so what is saved then has learned from all
    the steps that it counts.

    Args:
        folder: the run folder.
        state: of the run; kept up to date.
        validator: scores the model.
        tracker: gets every row of the curve.
        metrics: of the algorithm itself.
        eval_every: steps between evaluations.
        checkpoint_every: steps between checkpoints.
        timesteps: the goal, for the progress bar.
        listener: is told what is logged, and says whether to go on.
    """

    def __init__(
        self,
        folder: Path,
        state: TrainingState,
        validator: Validator,
        tracker: Tracker,
        metrics: LastMetrics,
        eval_every: int,
        checkpoint_every: int,
        timesteps: int,
        listener: Listener = lambda metrics, timesteps: True,
    ) -> None:
        super().__init__()
        self.state = state
        self._folder = folder
        self._validator = validator
        self._tracker = tracker
        self._eval_every = eval_every
        self._checkpoint_every = checkpoint_every
        self._goal = timesteps
        self._saved_at: int | None = None
        self._metrics = metrics
        self._listener = listener
        self.stopped = False
        """Whether the listener, or whoever watches the tracker, ended the training."""
        self.accuracies: list[list[float]] = []
        """Steps of training, hop and mean accuracy after it, of every evaluation here."""

    def _on_training_start(self) -> None:
        self._counter = EpisodeCounter(self.training_env.num_envs)
        self._evaluations = Evaluations(self._folder, self.num_timesteps)
        self._monitor = Monitor(self._folder, self.state.episodes, time.time())
        self._ended: list[dict[str, float]] = []
        self._bar = progress(self._goal, "train", "step", initial=self.num_timesteps)
        self._show_best()

    def _on_step(self) -> bool:
        self.state.episodes += self._counter.add(self.locals["infos"], self.locals["dones"])
        self._ended += [info["episode"] for info in self.locals["infos"] if "episode" in info]
        self._bar.update(self.training_env.num_envs)
        return not self.stopped

    def _on_rollout_start(self) -> None:
        self._record(last=False)

    def _on_training_end(self) -> None:
        if not self.stopped:
            self._record(last=True)
        self._bar.close()

    def close(self) -> None:
        """End the progress bar's line (after an interruption)."""
        if hasattr(self, "_bar"):
            self._bar.close()

    def _record(self, last: bool) -> None:
        """Book the rollout behind us, and evaluate and save where it is due."""
        state = self.state
        if self._saved_at is None and state.timesteps == self.num_timesteps and state.curve:
            self._saved_at = state.timesteps  # resumed: this moment is already in the checkpoint
            return
        check_finite(self.model, self._folder)
        state.timesteps = self.num_timesteps
        row: Row = {
            "timesteps": state.timesteps,
            "episodes": state.episodes,
            **self._counter.take(),
            **self._metrics.take(),
        }
        if (
            last
            or state.last_evaluation is None
            or state.timesteps - state.last_evaluation >= self._eval_every
        ):
            row |= self._evaluate()
        state.curve.append(row)
        self._monitor.add(self._ended)
        self._ended = []
        write_text(self._folder / "progress.csv", to_csv(state.curve, COLUMNS))
        write_text(self._folder / "learner.csv", to_csv(state.curve, learner_columns(state.curve)))
        logged = metrics_of(row, self._validator.records, state.best_score)
        self._tracker.log(logged, state.timesteps)
        wanted = self._listener(logged, state.timesteps) and not self._tracker.stop
        self.stopped = not wanted and not last
        if last or self._saved_at is None or state.timesteps - self._saved_at >= self._checkpoint_every:
            save_checkpoint(self._folder / "checkpoints" / "latest.zip", self.model, state)
            self._saved_at = state.timesteps

    def _evaluate(self) -> Row:
        state = self.state
        scores = self._validator(self.model)
        records = self._validator.records
        returns, lengths = zip(*((r["total_reward"], r["hops"] + r["waits"]) for r in records), strict=True)
        self._evaluations.add(state.timesteps, returns, lengths)
        self.accuracies += accuracy_by_hop(state.timesteps, self._validator.records)
        state.last_evaluation = state.timesteps
        if state.best_score is None or scores["total_reward"] > state.best_score:
            state.best_score, state.best_timesteps = scores["total_reward"], state.timesteps
            save_checkpoint(self._folder / "best.zip", self.model, state)
            link_best(self._folder / "best.zip")
        self._show_best()
        names = COLUMNS[-len(METRICS) :]
        return {column: scores[name] for column, name in zip(names, METRICS, strict=True)}

    def _show_best(self) -> None:
        if self.state.best_score is not None:
            self._bar.set_postfix_str(f"best {self.state.best_score:.2f} on validation", refresh=False)


def check_finite(model: BaseAlgorithm, folder: Path) -> None:
    """Raise SnakegymError if the policy's weights are no longer finite numbers."""
    if not all(bool(torch.isfinite(weights).all()) for weights in model.policy.parameters()):
        raise SnakegymError(
            f"{folder}: training diverged after {model.num_timesteps:,} steps: the policy's weights are no "
            "finite numbers; expected --learning-rate, --ent-coef and --vf-coef with which it does not"
        )


def learner_columns(curve: Sequence[Row]) -> tuple[str, ...]:
    """Columns of learner.csv: the steps, and the algorithm's own metrics, sorted by name."""
    return ("timesteps", *sorted({name for row in curve for name in row if "/" in name}))
