"""Finished evaluations, read back from their folders."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from envs.reward import TERMS
from snakegym.errors import SnakegymError
from training.groups import Records, Training
from training.report import MEASURES
from training.runfolder import first_difference, read_json
from training.used import MANIFEST

EPISODE = ("initial_accuracy", *MEASURES)
HOP = ("node", "layer", "start_s", "receive_s", "compute_s", "send_s", "metric")
"""Fields that a report needs, all numbers."""


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
    try:
        request = data["request"]
        records = {spec: data["episodes"][spec] for spec in request["scheduler"]}
        _check_scenario(data["scenario"])
        _check_records(records, request["episodes"])
        return Evaluation(
            folders=(folder,),
            version=str(data["snakegym"]),
            request=request,
            scenario=data["scenario"],
            records=records,
            trained=data.get("trained", {}),
            weights=data.get("weights", {}),
            traces=_read_manifest(folder / MANIFEST),
        )
    except (KeyError, TypeError, ValueError) as error:
        reason = f"no field {error}" if isinstance(error, KeyError) else str(error)
        raise SnakegymError(f"{path}: found {reason}, expected what `snakegym evaluate` writes") from None


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
    entries = read_json(path) if path.is_file() else []
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise SnakegymError(f"{path}: expected a list of traces, as `snakegym evaluate` writes it")
    return entries


def _check_scenario(scenario: Mapping[str, Any]) -> None:
    """Raise KeyError, TypeError or ValueError where it lacks what a report says about it."""
    for section, fields in {
        "network": ("nodes", "mode"),
        "data": ("dataset",),
        "model": ("name",),
        "process": ("budget",),
    }.items():
        for field in fields:
            scenario[section][field]
    str(scenario["name"]), str(scenario["summary"])
    if not float(scenario["process"]["budget"]["time_s"]) > 0:
        raise ValueError("no time budget above 0")


def _check_records(records: Records, n_episodes: int) -> None:
    """Raise KeyError, TypeError or ValueError for the first field that is missing or no number."""
    if not records:
        raise ValueError("no scheduler")
    for spec, episodes in records.items():
        if len(episodes) != n_episodes or not n_episodes:
            raise ValueError(f"{len(episodes)} episodes of {spec} instead of {n_episodes}")
        for episode in episodes:
            _check_numbers(episode, EPISODE)
            _check_numbers(episode["rewards"], TERMS)
            for hop in episode["trace"]:
                _check_numbers(hop, HOP)
                hop["interrupted"]


def _check_numbers(record: Mapping[str, Any], fields: Sequence[str]) -> None:
    for field in fields:
        if not math.isfinite(record[field]):
            raise ValueError(f"{record[field]} as {field}")
