"""Two thousand hostile requests: an answer each, and none of them is our fault."""

from __future__ import annotations

import json
import random
import string
from copy import deepcopy
from typing import Any

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
REQUESTS = 2000
VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    2**63,
    2**70,
    -(10**30),
    1e308,
    float("nan"),
    float("inf"),
    "",
    "tiny",
    "a" * 3000,
    "\0",
    "\ud800",
    "../../etc/passwd",
    "' OR 1=1 --",
    "os:system",
    "\u202e☃",
    [],
    [[[[[]]]]],
    {},
    {"a": {"b": [1]}},
]
WORDS = ["tiny", "none", "n0", "x", "..", "%00", "%2e%2e", "%ff", "é", "a" * 300, "'", "-1", "{}", ";", " "]
HEADERS = [
    {"content-type": "text/plain"},
    {"content-type": "application/json; charset=utf-7"},
    {"content-type": "multipart/form-data"},
    {"content-encoding": "gzip"},
    {"accept": "text/event-stream"},
    {"x-correlator": "%s%n" * 50},
    {"last-event-id": "9" * 30},
    {"transfer-encoding": "identity"},
    {"authorization": "Bearer "},
    {"content-length": "-5"},
    {"range": "bytes=0-"},
]
QUERIES = ["limit", "offset", "since", "state", "service", "process", "hosted", "more"]


class Hostile:
    """Requests near good ones.

    Args:
        rng: draws them.
        service: a good description.
        processes: ids of processes.
    """

    def __init__(self, rng: random.Random, service: dict[str, Any], processes: list[str]) -> None:
        self.rng = rng
        self.bodies = {
            "/services": service,
            "/processes": {"service": "tiny", "scheduler": "fastest", "shadow": "greedy", "seed": 1},
            "/nodes": {"name": "phone", "slots": 1, "samples": 3, "labels": {"1": 3}, "battery": 0.5},
            "/tokens": {"name": "somebody", "scope": "read", "days": 1},
            "/processes/{process}/migrate": {"machine": "there"},
            "/nodes/{name}": {"authorised": True},
        }
        self.words = WORDS + processes

    def request(self, routes: list[tuple[str, str]]) -> dict[str, Any]:
        rng = self.rng
        method, path = rng.choice(routes)
        if rng.random() < 0.1:
            method = rng.choice(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW"])
        parts = [rng.choice(self.words) if p.startswith("{") else p for p in path.split("/")]
        if rng.random() < 0.1:
            parts.insert(rng.randrange(len(parts) + 1), rng.choice(self.words))
        found: dict[str, Any] = {"method": method, "url": "/" + "/".join(parts).lstrip("/")}
        if rng.random() < 0.4:
            found["params"] = {
                rng.choice(QUERIES): rng.choice([*WORDS, "1", "0", "10000000000000000000", "true", "running"])
                for _ in range(rng.randint(1, 3))
            }
        if rng.random() < 0.8:
            found["content"] = self.body(path if rng.random() < 0.7 else "")
        found["headers"] = dict(rng.choice(HEADERS)) if rng.random() < 0.3 else {}
        found["headers"].setdefault("content-type", "application/json")
        return found

    def body(self, path: str) -> bytes:
        rng, bodies = self.rng, self.bodies
        document = deepcopy(bodies.get(path) or rng.choice([*bodies.values()]))
        for _ in range(rng.choice([0, 1, 1, 2, 4])):
            self.change(document)
        text = json.dumps(document).encode("utf-8", "surrogatepass")
        kind = rng.random()
        if kind < 0.1:
            at = rng.randrange(len(text) + 1)
            return text[:at] + bytes(rng.randrange(256) for _ in range(rng.randint(0, 4))) + text[at + 1 :]
        if kind < 0.13:
            return text[:-1] + b', "name": "twice", "name": "thrice"}'
        if kind < 0.15:
            return b'{"a":' * rng.choice([10, 5000])
        if kind < 0.17:
            return rng.choice([b"", b"null", b"1e999", b'"', b"[]", b"\xef\xbb\xbf{}", b"x" * 2_000_000])
        return text

    def change(self, document: dict[str, Any]) -> None:
        rng, inner = self.rng, document
        while True:
            key = rng.choice([*inner, "more"])
            deeper = inner.get(key)
            if isinstance(deeper, dict) and deeper and rng.random() < 0.8:
                inner = deeper
                continue
            if rng.random() < 0.15:
                inner.pop(key, None)
            else:
                key = key if rng.random() < 0.9 else rng.choice(string.ascii_letters)
                inner[key] = deepcopy(rng.choice(VALUES))
            return


def test_no_request_is_an_error_of_ours(api: Any, document: dict[str, Any]) -> None:
    api.world.provider.register(document | {"name": "modest", "devices": {"start_nodes": 1}})
    processes = [api.world.started("modest") for _ in range(2)]
    api.world.stage.tell(processes[1], "ended", reason="hops", metric=0.3)  # so that streams of it end
    api.world.rounds()
    published = api.ask("GET", "/openapi.json").json()["paths"]
    routes = [(method.upper(), path) for path, methods in published.items() for method in methods]
    hostile = Hostile(random.Random(7), document | {"sla": {"priority": 3}}, processes[1:])
    seen: dict[int, int] = {}
    for number in range(REQUESTS):
        request = hostile.request(routes)
        answer = api.client.request(**request)
        told = f"request {number}: {request}: {answer.status_code} {answer.text[:300]}"
        assert answer.status_code < 500, told
        if answer.status_code >= 400 and request["method"] != "HEAD":
            assert answer.headers["content-type"] == "application/problem+json", told
            assert answer.json()["status"] == answer.status_code, told
        seen[answer.status_code] = seen.get(answer.status_code, 0) + 1
    assert {200, 201, 202, 400, 401, 404, 405, 409, 413} <= seen.keys(), seen
    assert sum(seen.values()) == REQUESTS
    assert api.ask("GET", f"/processes/{processes[0]}").json()["id"] == processes[0], "it still works"
