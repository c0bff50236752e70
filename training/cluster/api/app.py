"""The application: routes, guard, and what OpenAPI says of them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.types import ASGIApp

from snakegym.training.cluster.api.guard import Guard, Limits
from snakegym.training.cluster.api.meta import metric_routes, public_routes, token_routes
from snakegym.training.cluster.api.metrics import Statistics
from snakegym.training.cluster.api.nodes import node_routes
from snakegym.training.cluster.api.problems import MEDIA, explain_problems
from snakegym.training.cluster.api.processes import operation_routes, process_routes
from snakegym.training.cluster.api.services import service_routes
from snakegym.training.cluster.api.stream import Streams
from snakegym.training.cluster.description import ServiceDescription
from snakegym.training.cluster.hosting import Joining
from snakegym.training.cluster.provider.nodes import Nodes
from snakegym.training.cluster.provider.provider import ServiceProvider
from snakegym.training.cluster.registry.store import Registry
from snakegym.training.cluster.registry.tokens import Tokens

ABOUT = """Services of Snake Learning: register them, run processes of them on nodes, follow and move these.

Every request has the header `Authorization: Bearer TOKEN`. Errors are problem documents (RFC 9457). What
takes time is answered by 202 and an operation, whose state is PROCESSING, then COMPLETED or FAILED."""


@dataclass(frozen=True)
class Api:
    """What a server serves."""

    asgi: ASGIApp
    """With its guard."""
    app: FastAPI
    """Without."""
    streams: Streams
    """To be told when the server closes."""


def make_api(
    registry: Registry,
    provider: ServiceProvider,
    tokens: Tokens,
    limits: Limits | None = None,
    joining: Joining | None = None,
) -> Api:
    """The API of a provider.

    Args:
        registry: whose nodes it shows.
        provider: on that registry.
        tokens: who may come in.
        limits: what they may do.
        joining: what nodes are told that join; None: none can.
    """
    app = FastAPI(
        title="snakegym", version=version("snakegym"), description=ABOUT, docs_url=None, redoc_url=None
    )
    explain_problems(app)
    streams, statistics = Streams(provider), Statistics(registry)
    for routes in (
        service_routes(provider),
        process_routes(provider, streams),
        operation_routes(provider),
        node_routes(Nodes(registry), joining),
        token_routes(tokens),
        metric_routes(statistics),
        public_routes(),
    ):
        app.include_router(routes)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return Api(Guard(app, tokens, limits or Limits(), statistics.heard), app, streams)


def _openapi(app: FastAPI) -> dict[str, Any]:
    """What FastAPI finds, with what it cannot see: tokens, problem documents, a service's description."""
    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        schemas: dict[str, Any] = found["components"]["schemas"]
        service = ServiceDescription.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= {**service.pop("$defs", {}), "ServiceDescription": service, "Problem": _PROBLEM}
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}]
        for path in found["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
                operation["responses"]["default"] = _DEFAULT
        app.openapi_schema = found
    return app.openapi_schema


_PROBLEM = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
    },
    "required": ["type", "title", "status", "code", "detail"],
}
_DEFAULT = {
    "description": "A problem",
    "content": {MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
