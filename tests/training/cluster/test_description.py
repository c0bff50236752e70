"""A service is checked when it is registered: one clear error that names the field."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from snakegym.errors import SnakegymError
from snakegym.scenario import list_scenarios
from snakegym.training.cluster.description import check_service, describe, read_description


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    document = deepcopy(document)
    *folders, last = path.split(".")
    inner = document
    for name in folders:
        inner = inner.setdefault(name, {})
    inner[last] = value
    return document


def test_shipped_scenarios_are_services() -> None:
    service = describe({"name": "crowd", "scenario": "crowd"})
    assert check_service(service).name == "crowd"
    assert service.seats(service.plan()) == (service.plan().network.nodes,) * 3
    assert "crowd" in list_scenarios()


def test_a_scenario_alone_is_a_service(document: dict[str, Any]) -> None:
    service = describe(document["scenario"])
    assert (service.name, service.task) == ("tiny", "three nodes, five hops")
    assert service.scheduler == "reference"


def test_wishes_change_the_scenario(document: dict[str, Any]) -> None:
    wishes = {
        "objective": {"time": 0.5, "target": 0.8},
        "layers": {"order": "serpentine", "repeat": True, "parallel": 2, "companions": "divergent"},
        "devices": {"least_nodes": 1, "start_nodes": 2},
    }
    service = describe(document | wishes)
    scenario = check_service(service)
    assert scenario.objective.time == 0.5
    assert scenario.objective.energy == service.plan().objective.energy
    process = scenario.process
    assert (process.layer_order, process.repeat_layers, process.target) == ("serpentine", True, 0.8)
    assert (process.parallel, process.companions) == (2, "divergent")
    assert service.seats(scenario) == (1, 2, 3)


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("name", "Two Words", "field 'name'"),
        ("colour", "red", "field 'colour'"),
        ("scenario", 3, "field 'scenario': expected the name of a scenario, or its fields (found 3)"),
        ("scenario", "atlantis", "field 'scenario': unknown scenario 'atlantis'"),
        ("scenario.network.nodes", 0, "network.nodes"),
        ("scenario.model.options.width", 10**9, "model.options.width"),
        ("sla.deadline_s", 601, "'sla.deadline_s': found 601, expected at most"),
        ("sla.least_accuracy", 1.5, "sla.least_accuracy"),
        ("sla.priority", 10, "sla.priority"),
        ("devices.start_nodes", 4, "'devices.start_nodes': found 4, expected at most network.nodes, 3"),
        ("devices.least_nodes", 9, "'devices.least_nodes'"),
        ("data.labels", [3, 10], "'data.labels': found 10, expected labels below 10"),
        ("layers.parallel", 4, "process.parallel"),
        ("scheduler", "best", "field 'scheduler': found 'best', which leads to code"),
        ("scheduler", "os:system", "field 'scheduler': found 'os:system'"),
        ("shadow", "clairvoyant", "field 'shadow': found 'clairvoyant', a yardstick"),
        ("scenario.model.name", "mine.py:Net", "field 'scenario.model.name': found 'mine.py:Net'"),
        ("scenario.data.dataset", "mine:Data", "field 'scenario.data.dataset': found 'mine:Data'"),
        ("scenario.data.root", "/etc", "field 'scenario.data.root': found '/etc'"),
        ("scenario.fitted", "/etc/passwd", "field 'scenario.fitted'"),
        ("scenario.network.traces.source", "/etc", "field 'scenario.network.traces.source'"),
    ],
)
def test_refused(document: dict[str, Any], path: str, value: Any, named: str) -> None:
    with pytest.raises(SnakegymError) as refused:
        check_service(describe(changed(document, path, value)))
    assert named in str(refused.value)
    assert "\n" not in str(refused.value)


def test_who_trusts_gets_further(document: dict[str, Any]) -> None:
    with pytest.raises(SnakegymError, match="unknown scheduler 'best'"):
        check_service(describe(document | {"scheduler": "best"}), trusted=True)


@pytest.mark.parametrize(
    ("text", "origin", "named"),
    [
        ("name: [", "s.yaml", "s.yaml: not valid YAML"),
        ("{", "s.json", "s.json: not valid JSON"),
        ("- 1", "s.yaml", "s.yaml: found list, expected a mapping"),
        ("name: a\nname: b", "s.yaml", "found 'name' twice"),
        ("name: a", "s.yaml", "field 'scenario'"),
    ],
)
def test_documents(text: str, origin: str, named: str) -> None:
    with pytest.raises(SnakegymError) as refused:
        read_description(text, origin)
    assert named in str(refused.value)
