"""What of a training is logged under which name: docs/tracking.md is the list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from snakegym.envs.reward import TERMS
from snakegym.training.episodes.play import EpisodeRecord
from snakegym.training.learn.checkpoints import Row

APART = ("ppo", "scenario", "run_id")
"""Of config.json: what is called otherwise where runs are filtered."""
HOP_COLUMNS = (
    "hop",
    "node",
    "layer",
    "start_s",
    "receive_s",
    "compute_s",
    "send_s",
    "energy_j",
    "n_bytes",
    "accuracy",
    "interrupted",
)

_EPISODE = (
    "return",
    *(f"reward_{term}" for term in TERMS),
    *("accuracy", "time_s", "energy_j", "n_bytes", "hops", "waits", "illegal", "interruptions"),
)
_VALIDATION = ("return", "accuracy", "time_s", "energy_j", "n_bytes", "hops", "interruptions", "illegal")
_SB3 = (
    *("rollout/ep_rew_mean", "rollout/ep_len_mean"),
    *("time/fps", "time/iterations", "time/time_elapsed", "time/total_timesteps"),
    *(
        "train/approx_kl",
        "train/clip_fraction",
        "train/clip_range",
        "train/clip_range_vf",
        "train/entropy_loss",
    ),
    *("train/explained_variance", "train/learning_rate", "train/loss", "train/n_updates"),
    *("train/policy_gradient_loss", "train/value_loss"),
)
METRIC_NAMES = (
    "episodes",
    *(f"rollout/{name}" for name in _EPISODE),
    *(f"validation/{name}" for name in (*_VALIDATION, "accuracy_per_hop", "best_return")),
    *("eval/mean_reward", "eval/mean_ep_length"),
    *_SB3,
)
"""All that a training by PPO logs; algorithms of one's own may log others below `train/`."""
SUMMARY_NAMES = ("best_validation_return", "best_timesteps")
"""Known at the end alone."""


def flat_config(described: Mapping[str, Any], scenario: str) -> dict[str, Any]:
    """config.json with options and hyperparameters side by side, to filter by.

    Args:
        described: the content of config.json.
        scenario: as it was asked for.
    """
    options = {name: value for name, value in described.items() if name not in APART}
    return {
        **options,
        **described["ppo"],
        "scenario": Path(scenario).name if scenario.endswith((".yaml", ".yml", ".json")) else scenario,
        "scenario_settings": described["scenario"],
    }


def metrics_of(row: Row, records: Sequence[EpisodeRecord], best: float | None) -> dict[str, float]:
    """A row of the curve as it is logged: names with a slash, which charts are grouped by.

    Args:
        row: of progress.csv and learner.csv.
        records: of the evaluation in it, if there was one.
        best: the best return on validation traces so far.
    """
    logged = {_grouped(column): float(value) for column, value in row.items() if column != "timesteps"}
    if "validation_return" in row:
        gains = [(r["validation_accuracy"] - r["initial_accuracy"]) / max(1, r["hops"]) for r in records]
        logged |= {
            "eval/mean_reward": float(row["validation_return"]),
            "eval/mean_ep_length": float(np.mean([r["hops"] + r["waits"] for r in records])),
            "validation/accuracy_per_hop": float(np.mean(gains)),
        }
        if best is not None:
            logged["validation/best_return"] = best
    return logged


def accuracy_by_hop(timesteps: int, records: Sequence[EpisodeRecord]) -> list[list[float]]:
    """Rows of steps of training, hop and mean accuracy after it; an episode that is over keeps its last."""
    curves = [[r["initial_accuracy"], *(hop["metric"] for hop in r["trace"])] for r in records]
    longest = max(map(len, curves), default=0)
    return [
        [timesteps, hop, float(np.mean([curve[min(hop, len(curve) - 1)] for curve in curves]))]
        for hop in range(longest)
    ]


def hop_rows(record: EpisodeRecord) -> list[list[Any]]:
    """An episode's hops as rows of HOP_COLUMNS."""
    plain: list[dict[str, Any]] = [dict(hop) for hop in record["trace"]]
    return [
        [number, *(hop[c] for c in HOP_COLUMNS[1:-2]), hop["metric"], hop["interrupted"] or ""]
        for number, hop in enumerate(plain, 1)
    ]


def _grouped(column: str) -> str:
    """SB3's own names as they are; of ours, what exploring episodes bring stands beside SB3's `rollout/`."""
    if "/" in column:
        return column
    group, _, rest = column.partition("_")
    return f"{'rollout' if group == 'train' else group}/{rest}" if rest else column
