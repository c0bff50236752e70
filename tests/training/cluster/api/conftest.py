"""The API of a world in which nothing trains, without a server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from snakegym.training.cluster.api.app import make_api
from snakegym.training.cluster.api.guard import Limits
from snakegym.training.cluster.registry.tokens import Tokens


class Api:
    """A client with a token of the operator, beside the world that it asks."""

    def __init__(self, world: Any, limits: Limits | None = None) -> None:
        self.world = world
        self.tokens = Tokens(world.registry)
        self.api = make_api(world.registry, world.provider, self.tokens, limits)
        token = self.tokens.issue("operator", "all", replace=True)
        self.client = TestClient(self.api.asgi, raise_server_exceptions=False)
        self.client.headers["Authorization"] = f"Bearer {token}"

    def ask(self, method: str, path: str, **more: Any) -> Any:
        return self.client.request(method, path, **more)

    def as_bearer(self, token: str | None) -> dict[str, str]:
        return {"Authorization": "" if token is None else f"Bearer {token}"}


@pytest.fixture
def api(world: Any) -> Iterator[Api]:
    api = Api(world, Limits(rate=1e6, burst=1e6, refused_rate=1e6, refused_burst=1e6))
    with api.client:
        yield api


@pytest.fixture
def strict_api(world: Any) -> Iterator[Api]:
    """With little patience."""
    api = Api(world, Limits(body_bytes=2000, rate=5, burst=50))
    with api.client:
        yield api
