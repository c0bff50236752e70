"""Finished evaluations, read back from their folders."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Any

from snakegym.envs.reward import TERMS
from snakegym.errors import SnakegymError
from snakegym.training.analysis.groups import Records, Training
from snakegym.training.analysis.summary import MEASURES
from snakegym.training.episodes.play import EpisodeRecord
from snakegym.training.runs.folder import first_difference, read_json
from snakegym.training.runs.manifest import MANIFEST, read_manifest

EPISODE = ("initial_accuracy", *MEASURES)
HOP = ("node", "layer", "start_s", "receive_s", "compute_s", "send_s", "metric")
"""Fields that a report needs, all numbers."""
Kind = type | tuple[type, ...]
NUMBER = (int, float)
REQUEST: Mapping[str, Kind] = {"scheduler": list, "episodes": int, "split": str, "seed": int}
SCENARIO: Mapping[str, Kind] = {
    "name": str,
    "summary": str,
    "data.dataset": str,
    "model.name": str,
    "network.nodes": int,
    "network.mode": str,
    "process.target": (*NUMBER, NoneType),
    "process.budget.time_s": NUMBER,
}
"""More of them, and what each is."""


@dataclass(frozen=True)
class Evaluation:
    """What `snakegym evaluate` left, or several of them on the very same episodes."""

    folders: tuple[Path, ...]
    version: str
    """Of snakegym, when it was made."""
    request: Mapping[str, Any]
    """What was asked for: split, episodes, seed, traces, …"""
    scenario: Mapping[str, Any]
    """As JSON data."""
    records: Records
    """In the order in which the schedulers were asked for."""
    trained: Mapping[str, Training]
    weights: Mapping[str, str]
    """SHA-256 of the weights of those that were trained."""
    traces: Sequence[Mapping[str, Any]]
    """Which ones the episodes were drawn from; empty if that was not recorded."""


def read_evaluation(folder: Path) -> Evaluation:
    """The evaluation in a folder. Raises SnakegymError if there is none, or only a part of it."""
    path = folder / "evaluation.json"
    if not path.is_file():
        unfinished = (folder / "partial.jsonl").is_file()
        raise SnakegymError(
            f"{folder}: found an unfinished evaluation, expected a finished one: repeat its command"
            if unfinished
            else f"{folder}: found no evaluation.json, expected a folder that `snakegym evaluate` wrote"
        )
    data = read_json(path)
    traces = _read_manifest(folder / MANIFEST)
    try:
        return _evaluation(folder, data, traces)
    except ValueError as error:
        raise SnakegymError(f"{path}: found {error}, expected what `snakegym evaluate` writes") from None


def merge(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Put those together that played the very same episodes, so that all their schedulers compare.

    What differs in anything (scenario, split, seed, number of episodes, traces, version) stays by
    itself, and so does what gives another result under the same scheduler's name.
    """
    merged: list[Evaluation] = []
    for evaluation in evaluations:
        for i, other in enumerate(merged):
            if _same_episodes(evaluation, other) and _agree(evaluation.records, other.records):
                merged[i] = replace(
                    other,
                    folders=(*other.folders, *(f for f in evaluation.folders if f not in other.folders)),
                    records={**other.records, **evaluation.records},
                    trained={**other.trained, **evaluation.trained},
                    weights={**other.weights, **evaluation.weights},
                )
                break
        else:
            merged.append(evaluation)
    return merged


def _same_episodes(one: Evaluation, other: Evaluation) -> bool:
    return _identity(one) == _identity(other)


def _identity(evaluation: Evaluation) -> str:
    by_content = ("scheduler", "scenario", "traces") if evaluation.traces else ("scheduler", "scenario")
    request = {k: v for k, v in evaluation.request.items() if k not in by_content}
    traces = sorted(str(t.get("sha256")) for t in evaluation.traces)
    return json.dumps([evaluation.version, request, evaluation.scenario, traces], sort_keys=True)


def _agree(one: Records, other: Records) -> bool:
    return all(first_difference(one[s], other[s]) is None for s in one if s in other)


def _read_manifest(path: Path) -> list[Mapping[str, Any]]:
    return [entry.model_dump() for entry in read_manifest(path)] if path.exists() else []


def _evaluation(folder: Path, data: Any, traces: Sequence[Mapping[str, Any]]) -> Evaluation:
    """From JSON data. Raises ValueError that names the first field that is missing or of another kind."""
    request = {f: _field(data, f"request.{f}", kind) for f, kind in REQUEST.items()}
    for field, kind in SCENARIO.items():
        _field(data, f"scenario.{field}", kind)
    if not data["scenario"]["process"]["budget"]["time_s"] > 0:
        raise ValueError("no time budget above 0")
    if not request["scheduler"]:
        raise ValueError("no scheduler")
    return Evaluation(
        folders=(folder,),
        version=_field(data, "snakegym", str),
        request=data["request"],
        scenario=data["scenario"],
        records={s: _episodes(data, str(s), request["episodes"]) for s in request["scheduler"]},
        trained=_field(data, "trained", dict) if "trained" in data else {},
        weights=_field(data, "weights", dict) if "weights" in data else {},
        traces=traces,
    )


def _episodes(data: Any, spec: str, n_episodes: int) -> Sequence[EpisodeRecord]:
    episodes: Any = _field(data, "episodes", dict).get(spec)
    if not isinstance(episodes, list) or len(episodes) != n_episodes or not n_episodes:
        found = len(episodes) if isinstance(episodes, list) else "no"
        raise ValueError(f"{found} episodes of {spec} instead of {n_episodes}")
    for i, episode in enumerate(episodes):
        try:
            for field in (*EPISODE, *(f"rewards.{term}" for term in TERMS)):
                _field(episode, field, NUMBER)
            for hop in _field(episode, "trace", list):
                for field in HOP:
                    _field(hop, field, NUMBER)
                _field(hop, "interrupted", (str, NoneType))
        except ValueError as error:
            raise ValueError(f"in episode {i} of {spec} {error}") from None
    return episodes


def _field(data: Any, path: str, kind: Kind) -> Any:
    """A field of nested JSON objects. Raises ValueError if it is missing, of another kind or not finite."""
    value, parts = data, path.split(".")
    for i, part in enumerate(parts):
        if not isinstance(value, dict) or part not in value:
            where = f" in {'.'.join(parts[:i])}" if i else ""
            raise ValueError(f"no field '{part}'{where}")
        value = value[part]
    if not isinstance(value, kind) or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"{repr(value)[:60]} as {path}")
    return value
