"""Tokens, health, metrics and the page as routes."""

from __future__ import annotations

from importlib import resources

from fastapi import APIRouter, Depends, Response

from snakegym.training.cluster.api.bodies import (
    IssuedToken,
    NewToken,
    NodeName,
    TokenRecord,
    strictly,
)
from snakegym.training.cluster.api.metrics import Statistics
from snakegym.training.cluster.provider.errors import ConflictError, MissingError
from snakegym.training.cluster.registry.tokens import Bearer, Tokens

PAGE_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}


def token_routes(tokens: Tokens) -> APIRouter:
    """Give out and take back tokens."""
    routes = APIRouter(prefix="/tokens", tags=["tokens"])

    @routes.post("", status_code=201, dependencies=[Depends(strictly)])
    def issue(wish: NewToken) -> IssuedToken:
        """A token; it is told this once."""
        if any(bearer.name == wish.name for bearer in tokens.listing()):
            raise ConflictError(f"token '{wish.name}': is there already")
        token = tokens.issue(wish.name, wish.scope, wish.days)
        (bearer,) = (bearer for bearer in tokens.listing() if bearer.name == wish.name)
        return IssuedToken(**_record(bearer).model_dump(), token=token)

    @routes.get("")
    def listing() -> list[TokenRecord]:
        """Who has one, by name."""
        return [_record(bearer) for bearer in tokens.listing()]

    @routes.delete("/{name}", status_code=204)
    def revoke(name: NodeName) -> None:
        """It is good no more."""
        if not tokens.revoke(name):
            raise MissingError(f"token {name!r:.80}: found none of that name")

    return routes


def public_routes() -> APIRouter:
    """What needs no token: the page, which asks for one, and a sign of life."""
    routes = APIRouter(include_in_schema=False)
    folder = resources.files("snakegym.training.cluster.page")

    def serve(path: str, name: str, media: str) -> None:
        content = folder.joinpath(name).read_bytes()
        routes.add_api_route(path, lambda: Response(content, media_type=media), methods=["GET"])

    for path, (name, media) in PAGE_FILES.items():
        serve(path, name, media)
    routes.add_api_route("/health", lambda: {"status": "ok"}, methods=["GET"])
    return routes


def metric_routes(statistics: Statistics) -> APIRouter:
    """What Prometheus asks for."""
    routes = APIRouter(tags=["metrics"])

    @routes.get("/metrics")
    def metrics() -> Response:
        """In the text format of Prometheus."""
        return Response(statistics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return routes


def _record(bearer: Bearer) -> TokenRecord:
    return TokenRecord(name=bearer.name, scope=bearer.scope, expires=bearer.expires)
