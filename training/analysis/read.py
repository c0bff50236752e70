"""Finished evaluations, read back from their folders."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from snakegym.envs.reward import TERMS
from snakegym.errors import SnakegymError
from snakegym.training.analysis.groups import Records, Training
from snakegym.training.episodes.play import Amount, Count, EpisodeRecord, Share
from snakegym.training.episodes.terrain import Terrain, TerrainRecord
from snakegym.training.runs.folder import first_difference, first_fault, read_json
from snakegym.training.runs.manifest import MANIFEST, read_manifest

Positive = Annotated[int, Field(ge=1)]


class _Part(BaseModel):
    """What a report needs of an object; more may be in it."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Request(_Part):
    scheduler: Annotated[list[str], Field(min_length=1)]
    episodes: Positive
    split: str
    seed: Count
    layer_order: str | None = None
    traces: str | None = None
    set: list[str] = []


class _Data(_Part):
    dataset: str
    partition: str | None = None
    alpha: float | None = None


class _Model(_Part):
    name: str


class _Network(_Part):
    nodes: Positive
    mode: str


class _Budget(_Part):
    time_s: Annotated[Amount, Field(gt=0)]


class _Process(_Part):
    target: Share | None = None
    layer_order: str | None = None
    budget: _Budget


class _Scenario(_Part):
    name: str
    summary: str
    data: _Data
    model: _Model
    network: _Network
    process: _Process


class _Document(_Part):
    """evaluation.json."""

    snakegym: str
    request: _Request
    scenario: _Scenario
    trained: dict[str, Training] = {}
    weights: dict[str, str] = {}
    baseline: str | None = None
    terrain: TerrainRecord
    episodes: dict[str, list[EpisodeRecord]]


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
    terrain: Terrain
    """Of the first episode."""
    traces: Sequence[Mapping[str, Any]]
    """Which ones the episodes were drawn from; empty if that was not recorded."""
    baseline: str | None
    """Whom the others were compared with: a scheduler as it was asked for; None: it is not said."""


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
        document = _Document.model_validate(data)
    except ValidationError as error:
        raise SnakegymError(
            f"{path}: {first_fault(error)}, expected what `snakegym evaluate` writes"
        ) from None
    manifest = folder / MANIFEST
    traces = read_manifest(manifest) if manifest.is_file() else []
    return Evaluation(
        folders=(folder,),
        version=document.snakegym,
        request=data["request"],
        scenario=data["scenario"],
        records=_records(document, path),
        trained=document.trained,
        weights=document.weights,
        terrain=_terrain(document, path),
        traces=[trace.model_dump() for trace in traces],
        baseline=document.baseline if document.baseline in document.request.scheduler else None,
    )


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
                    baseline=other.baseline if other.baseline == evaluation.baseline else None,
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


def _path(*parts: object) -> str:
    """Of a field, in one line."""
    return " ".join(".".join(map(str, parts)).split())


def _terrain(document: _Document, path: Path) -> Terrain:
    """That of the first episode. Raises SnakegymError if it is none, or no place for the hops."""
    try:
        terrain = Terrain.read(document.terrain)
    except ValueError as error:
        raise SnakegymError(f"{path}: field 'terrain': found {error}") from None
    bounds = {"node": terrain.n_nodes, "layer": terrain.n_middle}
    for spec in document.request.scheduler:
        for i, hop in enumerate(document.episodes[spec][0]["trace"]):
            for key, most in bounds.items():
                if hop[key] >= most:  # type: ignore[literal-required]
                    field = _path("episodes", spec, 0, "trace", i, key)
                    raise SnakegymError(
                        f"{path}: field '{field}': found {hop[key]}, expected less than {most}"  # type: ignore[literal-required]
                    )
    return terrain


def _records(document: _Document, path: Path) -> Records:
    """The episodes of those that were asked for. Raises SnakegymError if there are others than that many."""
    n_episodes = document.request.episodes
    for spec in document.request.scheduler:
        episodes = document.episodes.get(spec, [])
        if len(episodes) != n_episodes:
            field = _path("episodes", spec)
            raise SnakegymError(
                f"{path}: field '{field}': found {len(episodes)} episodes, expected {n_episodes}"
            )
        for i, episode in enumerate(episodes):
            missing = [term for term in TERMS if term not in episode["rewards"]]
            field = f"rewards.{missing[0]}" if missing else "test_accuracy"
            if missing or episode["test_accuracy"] is None:
                raise SnakegymError(
                    f"{path}: field '{_path('episodes', spec, i, field)}': found nothing, expected a number"
                )
    return {spec: document.episodes[spec] for spec in document.request.scheduler}
