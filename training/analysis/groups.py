"""Training seeds: run folders that differ in nothing but the seed are one scheduler."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import TypedDict

from snakegym.agents.registry import is_privileged, list_schedulers
from snakegym.errors import SnakegymError
from snakegym.training.analysis.spread import Floats
from snakegym.training.episodes.play import EpisodeRecord
from snakegym.training.runs.folder import read_json

Records = Mapping[str, Sequence[EpisodeRecord]]
"""Per scheduler, as it was asked for, its episodes."""


@dataclass(frozen=True)
class Runs:
    """The episodes of one scheduler."""

    seeds: Sequence[Sequence[EpisodeRecord]]
    """Per training seed, the same episodes of every seed; a single entry for what is not trained."""
    trained: bool


Groups = Mapping[str, Runs]
"""Per scheduler, training seeds taken together."""

NO_SETTINGS = ("seed", "run_id", "wandb", "checkpoint_every", "versions")
"""Fields of a run's config.json that tell runs apart but change nothing about how they learn."""


MARK = " †"
"""Behind the name of whoever knows what no scheduler can know, wherever it is shown."""
EXPLAINED = "†: knows what no scheduler can know (the network's future, or true gains): a yardstick."


class Training(TypedDict):
    """How a trained scheduler was trained."""

    seed: int
    settings: str
    """SHA-256 of everything else that matters."""


def trainings(specs: Sequence[str]) -> dict[str, Training]:
    """How those were trained that are folders of training runs."""
    configs = {spec: config for spec in specs if (config := config_of(spec))}
    return {
        spec: Training(seed=int(config.get("seed", 0)), settings=digest_of_settings(config))
        for spec, config in configs.items()
    }


def config_of(spec: str) -> dict[str, Any]:
    """config.json of a training run; empty for what is no run. Raises SnakegymError if unreadable."""
    path = Path(spec) / "config.json"
    found = read_json(path) if spec not in list_schedulers() and path.is_file() else {}
    if not isinstance(found, dict):
        raise SnakegymError(f"{path}: found {type(found).__name__}, expected what `snakegym train` writes")
    return found


def digest_of_settings(config: Mapping[str, Any], but: Sequence[str] = ()) -> str:
    """SHA-256 of what matters in a run's config.json, its seed apart, and without the fields `but`."""
    settings = {k: v for k, v in config.items() if k not in (*NO_SETTINGS, *but)}
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def group(records: Records, trained: Mapping[str, Training] | None = None) -> Groups:
    """Take runs together that were trained alike with different seeds, at the place of the first.

    Args:
        records: of every scheduler.
        trained: how those were trained that were.
    """
    trained = trained or {}
    alike: dict[str, list[str]] = {}
    for spec in records:
        alike.setdefault(trained[spec]["settings"] if spec in trained else spec, []).append(spec)
    together: list[list[str]] = []
    for specs in alike.values():
        seeds = {trained[s]["seed"] for s in specs if s in trained}
        # A copy of a run is no second seed.
        together += [specs] if len(seeds) == len(specs) else [[s] for s in specs]
    labels = [_label(specs) for specs in together]
    if len(set(labels)) < len(labels):
        labels = [" + ".join(specs) for specs in together]
    return {
        label: Runs([records[s] for s in specs], specs[0] in trained)
        for label, specs in zip(labels, together, strict=True)
    }


def label_of(spec: str, records: Records, groups: Groups) -> str:
    """The group that a scheduler is in, by the name it was asked for."""
    return next(
        label for label, runs in groups.items() if any(episodes is records[spec] for episodes in runs.seeds)
    )


def flat(groups: Groups) -> dict[str, list[EpisodeRecord]]:
    """All episodes of every scheduler, one training seed after the other."""
    return {label: [e for episodes in runs.seeds for e in episodes] for label, runs in groups.items()}


def one_seed(groups: Groups) -> list[str]:
    """Those that were trained, with one seed alone: their intervals are about one policy each."""
    return [label for label, runs in groups.items() if runs.trained and len(runs.seeds) == 1]


def table(runs: Runs, measure: str) -> Floats:
    """One measure of one scheduler, [training seeds, episodes]."""
    return np.array(
        [[float(e[measure]) for e in episodes] for episodes in runs.seeds]  # type: ignore[literal-required]
    )


def choose_baseline(groups: Groups) -> str:
    """The first scheduler that was not trained, else the first."""
    return next((label for label in groups if label in list_schedulers()), next(iter(groups)))


def pattern_of(specs: Sequence[str]) -> str:
    """As a shell would match them: what is common, with a star for the rest; marked where there is cause."""
    if len(specs) == 1:
        return specs[0] + MARK * is_privileged(specs[0])
    start = _common_start(specs)
    end = _common_start([spec[len(start) :][::-1] for spec in specs])[::-1]
    return f"{start}*{end}" if start + end else " + ".join(specs)


def _label(specs: Sequence[str]) -> str:
    return pattern_of(specs) + (f" ({len(specs)} seeds)" if len(specs) > 1 else "")


def _common_start(texts: Sequence[str]) -> str:
    return os.path.commonprefix(list(texts))  # noqa: RUF071 - characters are meant, not folders
