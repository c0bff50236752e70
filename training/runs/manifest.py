"""Which traces a run or an evaluation uses, and the record of them in its folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from snakegym.envs.serpentine import SerpentineEnv
from snakegym.network.traces.formats import find_formats
from snakegym.scenario import Scenario, load_scenario
from snakegym.training.runs.changes import changed
from snakegym.training.runs.folder import read_shape, write_json

MANIFEST = "traces.json"


def scenario_of(
    name: str | Scenario,
    skip_bad_traces: bool = False,
    trace_format: str | None = None,
    changes: Sequence[str] = (),
) -> Scenario:
    """The scenario that was asked for, its fields changed (see `changed`) and its traces read as asked for.

    Raises:
        SnakegymError: no such scenario, field or format.
    """
    scenario = changed(load_scenario(name), changes)
    asked: dict[str, object] = {"skip_bad": True} if skip_bad_traces else {}
    if trace_format is not None:
        find_formats(trace_format)
        asked["format"] = trace_format
    if not asked:
        return scenario
    traces = scenario.network.traces.model_copy(update=asked)
    network = scenario.network.model_copy(update={"traces": traces})
    return scenario.model_copy(update={"network": network})


def write_manifest(folder: Path, *envs: SerpentineEnv) -> None:
    """Write which traces these environments draw from, each with hash and split, to traces.json."""
    libraries = [problem.service.library for env in envs for problem in env.problems]
    write_json(folder / MANIFEST, [entry for library in libraries for entry in library.manifest()], indent=1)


class TraceEntry(BaseModel):
    """A trace that a run or an evaluation draws from, as traces.json has it."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow")

    kind: str
    name: str
    format: str
    source: str
    scenario: str
    sha256: str
    split: str
    hours: float


def read_manifest(path: Path) -> list[TraceEntry]:
    """What traces.json says. Raises SnakegymError if it is no such file."""
    return read_shape(path, list[TraceEntry], "snakegym")
