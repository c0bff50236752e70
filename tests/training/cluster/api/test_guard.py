"""Nobody without a token reads or changes anything; nobody asks too much."""

from __future__ import annotations

import time
from typing import Any, get_args

import pytest
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from snakegym.training.cluster.api.app import make_api
from snakegym.training.cluster.api.guard import PUBLIC
from snakegym.training.cluster.api.limits import Bucket
from snakegym.training.cluster.hosting import Joining
from snakegym.training.cluster.registry.tokens import Scope, Tokens, operator_token

pytestmark = pytest.mark.cluster


def routes(api: Any) -> list[tuple[str, str]]:
    published = api.ask("GET", "/openapi.json").json()["paths"]
    return [(method.upper(), path) for path, methods in published.items() for method in methods]


@pytest.mark.parametrize("token", [None, "", "wrong", "Ünïcode", "a b c", "x" * 10_000])
def test_nothing_without_a_token(api: Any, token: str | None) -> None:
    headers = {"Authorization": b"" if token is None else f"Bearer {token}".encode()}
    found = routes(api)
    assert len(found) > 15
    for method, path in [*found, ("GET", "/nowhere"), ("GET", "/docs"), ("OPTIONS", "/services")]:
        answer = api.ask(method, path.replace("{", "").replace("}", ""), headers=headers)
        assert answer.status_code == 401, (method, path)
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["code"] == "UNAUTHENTICATED"


def test_what_is_public_says_nothing_of_the_registry(api: Any) -> None:
    process = api.world.started("tiny")
    for path in PUBLIC:
        answer = api.ask("GET", path, headers=api.as_bearer(None))
        assert answer.status_code == 200, path
        assert process not in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_tokens_of_less_scope(api: Any) -> None:
    issued = {
        scope: api.ask("POST", "/tokens", json={"name": scope, "scope": scope}).json()["token"]
        for scope in ("read", "node")
    }
    read, node = (api.as_bearer(issued[scope]) for scope in ("read", "node"))
    assert api.ask("GET", "/processes", headers=read).status_code == 200
    for method, path in routes(api):
        answer = api.ask(method, path.replace("{", "").replace("}", ""), headers=read)
        assert (answer.status_code == 403) is (method != "GET" or path.startswith("/tokens")), path
    offered = api.ask("POST", "/nodes", json={"name": "phone"}, headers=node)
    assert (offered.status_code, offered.json()["authorised"]) == (201, False)
    assert api.ask("PUT", "/nodes/phone", json={}, headers=node).status_code == 200
    for method, path in (("PATCH", "/nodes/phone"), ("GET", "/nodes"), ("POST", "/services")):
        assert api.ask(method, path, json={}, headers=node).status_code == 403
    assert [t["name"] for t in api.ask("GET", "/tokens").json()] == ["node", "operator", "read"]
    assert api.ask("DELETE", "/tokens/read").status_code == 204
    assert api.ask("GET", "/processes", headers=read).status_code == 401
    assert api.ask("POST", "/tokens", json={"name": "node", "scope": "all"}).status_code == 409


def test_tokens_expire(api: Any) -> None:
    token = api.ask("POST", "/tokens", json={"name": "brief", "scope": "read", "days": 1}).json()["token"]
    assert api.ask("GET", "/nodes", headers=api.as_bearer(token)).status_code == 200
    api.tokens._now = lambda: time.time() + 86401
    assert api.ask("GET", "/nodes", headers=api.as_bearer(token)).status_code == 401


def test_the_token_in_the_file(world: Any, tmp_path: Any) -> None:
    path, tokens = tmp_path / "token", Tokens(world.registry)
    first = operator_token(tokens, path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == f"{first}\n"
    again = Tokens(world.registry)
    assert operator_token(again, path) == first, "a restart keeps it"
    assert again.bearer(first) is not None
    path.write_text("something else\n")
    new = operator_token(again, path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert again.bearer(first) is None
    assert again.bearer(new) is not None


def test_correlators(api: Any) -> None:
    for path in ("/services", "/nowhere", "/services/none"):
        assert api.ask("GET", path, headers={"x-correlator": "b4-33:x"}).headers["x-correlator"] == "b4-33:x"
    refused = api.ask("GET", "/services", headers={"x-correlator": "é<script>".encode()})
    assert len(refused.headers["x-correlator"]) == 36, "its own instead"
    assert api.ask("GET", "/services").headers["x-correlator"]


def test_large_bodies(strict_api: Any) -> None:
    for body in (b"x" * 2001, (b"x" * 500 for _ in range(5))):
        answer = strict_api.ask("POST", "/services", content=body)
        assert (answer.status_code, answer.json()["code"]) == (413, "OUT_OF_RANGE")


def test_rates(strict_api: Any) -> None:
    answers = [strict_api.ask("GET", "/services/tiny") for _ in range(120)]
    assert {a.status_code for a in answers} == {200, 429}
    refused = next(a for a in answers if a.status_code == 429)
    assert int(refused.headers["retry-after"]) >= 1
    wrong = [strict_api.ask("GET", "/nodes", headers=strict_api.as_bearer("guess")) for _ in range(40)]
    assert [a.status_code for a in wrong[:10]] == [401] * 10
    assert wrong[-1].status_code == 429, "guessing is slow"


def test_buckets() -> None:
    clock = [0.0]
    bucket = Bucket(rate=2, burst=3, now=lambda: clock[0])
    assert [bucket.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert bucket.take("b") == 0
    clock[0] += 0.5
    assert bucket.take("a") == 0
    assert bucket.take("a") == 0.5


def test_an_error_of_our_own_is_told_as_such(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(api.world.provider, "services", broken)
    answer = api.ask("GET", "/services", headers={"x-correlator": "find-me"})
    assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL")
    assert "find-me" in answer.json()["detail"]
    assert "secret" not in answer.text


def test_a_database_that_is_away(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("SELECT", {}, Exception("connection refused"))

    monkeypatch.setattr(api.world.provider, "services", away)
    answer = api.ask("GET", "/services")
    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
    assert int(answer.headers["retry-after"]) > 0
    assert "refused" not in answer.text


def test_a_round_without_a_database_is_made_up_for(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    process = world.started("tiny")
    world.stage.tell(process, "hop", clock_s=1.0, metric=0.3)
    with monkeypatch.context() as away:
        away.setattr(world.registry, "writing", _away)
        with pytest.raises(OperationalError):
            world.steward.round()
    assert world.state(process) == "running"
    world.rounds()
    assert world.kinds(process) == ["started", "hop"]


def _away() -> None:
    raise OperationalError("UPDATE", {}, Exception("connection refused"))


def test_a_node_joins_when_it_is_authorised(world: Any) -> None:
    """Who joins can run anything on the cluster, so a token of scope `node` alone is not enough."""
    tokens = Tokens(world.registry)
    joining = Joining("here:6379", "secret")
    api = make_api(world.registry, world.provider, tokens, joining=joining)
    bearers = {scope: {"Authorization": f"Bearer {tokens.issue(scope, scope)}"} for scope in get_args(Scope)}
    with TestClient(api.asgi) as client:

        def join(name: str, scope: str) -> tuple[int, str]:
            answer = client.post(f"/nodes/{name}/join", headers=bearers[scope])
            return answer.status_code, answer.text

        assert join("phone", "read")[0] == 403
        assert "is not authorised" in join("phone", "node")[1]
        client.post("/nodes", json={"name": "phone"}, headers=bearers["node"])
        status, text = join("phone", "node")
        assert (status, "secret" in text) == (409, False)
        client.patch("/nodes/phone", json={"authorised": True}, headers=bearers["all"])
        assert join("phone", "node") == (200, '{"address":"here:6379","token":"secret"}')
        assert join("other", "all")[0] == 200
        for scope in ("node", "all"):
            assert "is there already" in join("n0", scope)[1]
