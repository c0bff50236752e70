"""What the API answers: status, headers, documents."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = pytest.mark.cluster


def check_problem(answer: Any, status: int, named: str = "") -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    assert {"type", "title", "code", "detail"} <= document.keys()
    assert named in document["detail"]
    assert "\n" not in document["detail"]


def test_services(api: Any, document: dict[str, Any]) -> None:
    new = document | {"name": "new"}
    made = api.ask("POST", "/services", json=new)
    assert (made.status_code, made.headers["location"]) == (201, "/services/new")
    assert made.json()["description"]["scheduler"] == "fastest"
    check_problem(api.ask("POST", "/services", json=new), 409, "service 'new': is registered already")
    assert api.ask("GET", "/services/new").json()["processes"] == []
    assert [s["name"] for s in api.ask("GET", "/services").json()] == ["new", "tiny"]
    assert [s["name"] for s in api.ask("GET", "/services?limit=1&offset=1").json()] == ["tiny"]
    assert api.ask("DELETE", "/services/new").status_code == 204
    check_problem(api.ask("DELETE", "/services/new"), 404, "service 'new'")
    check_problem(api.ask("GET", "/services/new"), 404, "service 'new'")


def test_a_service_in_use_stays(api: Any) -> None:
    process = api.ask("POST", "/processes", json={"service": "tiny"}).json()["process"]
    check_problem(api.ask("DELETE", "/services/tiny"), 409, f"in use by {process}")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", "body"),
        (b"{", "JSON"),
        (b"[1, 2]", "dictionary"),
        (b'{"name": "a", "name": "b"}', "found 'name' twice"),
        (b'{"name": "a", "scenario": "tidal", "seed": NaN}', "NaN"),
        (b'{"name": "a", "scenario": "tidal", "colour": 1}', "field 'colour'"),
        (b'{"name": "a", "scenario": "tidal", "sla": {"priority": "high"}}', "field 'sla.priority'"),
        (b'{"name": "a", "scenario": "tidal", "scheduler": "os:system"}', "field 'scheduler'"),
        (b'{"name": "a", "scenario": "tidal", "task": "\\ud800"}', "field 'task'"),
        (b"\xff\xfe", ""),
        (b"[" * 100_000, ""),
    ],
)
def test_malformed_services(api: Any, body: bytes, named: str) -> None:
    headers = {"content-type": "application/json"}
    check_problem(api.ask("POST", "/services", content=body, headers=headers), 400, named)


def test_processes(api: Any) -> None:
    asked = api.ask("POST", "/processes", json={"service": "tiny", "shadow": "greedy", "priority": 7})
    operation = asked.json()
    assert (asked.status_code, asked.headers["location"]) == (202, f"/operations/{operation['id']}")
    assert (operation["kind"], operation["state"]) == ("start", "PROCESSING")
    process = operation["process"]
    assert api.ask("GET", "/processes?state=waiting").json()[0]["id"] == process
    api.world.rounds()
    assert api.ask("GET", asked.headers["location"]).json()["state"] == "COMPLETED"
    found = api.ask("GET", f"/processes/{process}").json()
    assert (found["state"], found["shadow"], found["priority"]) == ("running", "greedy", 7)
    assert found["nodes"] == ["n0", "n1", "n2"]
    assert api.ask("GET", "/processes?service=other").json() == []
    moved = api.ask("POST", f"/processes/{process}/migrate", json={"machine": "there"})
    assert (moved.status_code, moved.json()["kind"]) == (202, "migrate")
    check_problem(api.ask("POST", f"/processes/{process}/migrate"), 409, "is migrating")
    stopped = api.ask("POST", f"/processes/{process}/stop")
    assert (stopped.status_code, stopped.json()["kind"]) == (202, "stop")
    check_problem(api.ask("POST", f"/processes/{process}/stop"), 409, "is terminating already")
    kinds = [o["kind"] for o in api.ask("GET", f"/operations?process={process}").json()]
    assert kinds == ["stop", "migrate", "start"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "named"),
    [
        ("POST", "/processes", {"service": "none"}, 404, "service 'none'"),
        ("POST", "/processes", {}, 400, "service"),
        ("POST", "/processes", {"service": "tiny", "seed": -1}, 400, "seed"),
        ("POST", "/processes", {"service": "tiny", "seed": 2**63}, 400, "seed"),
        ("POST", "/processes", {"service": "tiny", "scheduler": "best"}, 400, "scheduler"),
        ("POST", "/processes", {"service": "tiny", "more": 1}, 400, "more"),
        ("GET", "/processes/none", None, 404, "process 'none'"),
        ("POST", "/processes/none/stop", None, 404, "process 'none'"),
        ("GET", "/processes/none/events", None, 404, "process 'none'"),
        ("GET", "/processes?limit=0", None, 400, "limit"),
        ("GET", "/processes?state=happy", None, 400, "state"),
        ("GET", "/operations/none", None, 404, "operation 'none'"),
        ("GET", "/nodes/none", None, 404, "node 'none'"),
        ("PUT", "/nodes/none", {}, 404, "node 'none'"),
        ("POST", "/nodes", {"name": "a b"}, 400, "name"),
        ("POST", "/nodes", {"name": "n0"}, 409, "node 'n0': is registered already"),
        ("POST", "/nodes", {"name": "x", "battery": 2}, 400, "battery"),
        ("DELETE", "/nodes/n0", None, 409, "the host has it"),
        ("GET", "/nowhere", None, 404, ""),
        ("PATCH", "/services", None, 405, ""),
        ("POST", "/tokens", {"name": "x", "scope": "root"}, 400, "scope"),
        ("DELETE", "/tokens/none", None, 404, "token 'none'"),
    ],
)
def test_what_cannot_be(api: Any, method: str, path: str, body: Any, status: int, named: str) -> None:
    check_problem(api.ask(method, path, json=body), status, named)


def test_a_service_that_wants_more_nodes_than_there_are(api: Any) -> None:
    api.ask("POST", "/services", json={"name": "crowd", "scenario": "crowd"})
    check_problem(api.ask("POST", "/processes", json={"service": "crowd"}), 409, "nodes at least, found 3")


def test_nodes(api: Any) -> None:
    made = api.ask("POST", "/nodes", json={"name": "phone-3", "samples": 120, "labels": {"3": 120}})
    assert (made.status_code, made.headers["location"]) == (201, "/nodes/phone-3")
    assert made.json()["authorised"], "who may do all may offer nodes"
    assert api.ask("PUT", "/nodes/phone-3", json={"battery": 0.5}).json()["report"]["battery"] == 0.5
    assert not api.ask("PATCH", "/nodes/phone-3", json={"authorised": False}).json()["authorised"]
    assert [n["name"] for n in api.ask("GET", "/nodes?hosted=false").json()] == ["phone-3"]
    assert len(api.ask("GET", "/nodes").json()) == 4
    assert api.ask("DELETE", "/nodes/phone-3").status_code == 204


def test_events_as_page_and_as_stream(api: Any) -> None:
    process = api.world.started("tiny")
    api.world.stage.tell(process, "hop", clock_s=1.0, metric=0.3)
    api.world.stage.tell(process, "ended", reason="hops", metric=0.3)
    api.world.rounds()
    page = api.ask("GET", f"/processes/{process}/events?since=1").json()
    assert [e["kind"] for e in page["events"]] == ["hop", "ended"]
    assert page["last"]
    stream = {"accept": "text/event-stream"}
    answer = api.ask("GET", f"/processes/{process}/events", headers=stream)
    assert answer.headers["content-type"].startswith("text/event-stream")
    records = [dict(line.split(": ", 1) for line in r.split("\n")) for r in answer.text.split("\n\n") if r]
    assert [(r["event"], r.get("id")) for r in records] == [
        ("started", "1"),
        ("hop", "2"),
        ("ended", "3"),
        ("over", None),
    ]
    assert json.loads(records[1]["data"])["metric"] == 0.3
    again = api.ask("GET", f"/processes/{process}/events", headers=stream | {"last-event-id": "2"})
    assert "event: hop" not in again.text
    assert "event: ended" in again.text


def test_openapi_names_everything(api: Any) -> None:
    published = api.ask("GET", "/openapi.json", headers=api.as_bearer(None)).json()
    assert {"/services", "/processes/{process}/stop", "/nodes/{name}", "/operations"} <= published[
        "paths"
    ].keys()
    references: list[str] = []

    def look(value: Any) -> None:
        if isinstance(value, dict):
            references.extend([value["$ref"]] if isinstance(value.get("$ref"), str) else [])
            [look(v) for v in value.values()]
        elif isinstance(value, list):
            [look(v) for v in value]

    look(published)
    schemas = published["components"]["schemas"]
    assert {r.removeprefix("#/components/schemas/") for r in references} <= schemas.keys()
    assert schemas["ServiceDescription"]["properties"]["sla"]["$ref"].endswith("/Sla")
    assert "201" in published["paths"]["/services"]["post"]["responses"]
    assert published["security"] == [{"token": []}]


def test_metrics(api: Any) -> None:
    process = api.world.started("tiny")
    api.world.stage.snapshots[process] = {"metric": 0.25, "clock_s": 1.0}
    api.world.stage.tell(process, "hop", clock_s=1.0, metric=0.25)
    api.world.rounds()
    api.ask("GET", "/services/tiny")
    text = api.ask("GET", "/metrics").text
    assert 'snakegym_processes{state="running"} 1.0' in text
    assert 'snakegym_nodes{are="leased"} 3.0' in text
    assert f'snakegym_process_metric{{process="{process}",service="tiny"}} 0.25' in text
    assert 'snakegym_http_requests_total{method="GET",route="/services/{name}",status="200"} 1.0' in text
