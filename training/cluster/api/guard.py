"""What stands before every request: token, limits, correlator, and an answer whatever happens.

Everything needs a token but what `PUBLIC` names, so nothing that is added is open by oversight.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from snakegym.training.cluster.api.limits import Bucket
from snakegym.training.cluster.api.problems import problem
from snakegym.training.cluster.registry.tokens import Bearer, Tokens

PUBLIC = frozenset({"/", "/page.css", "/page.js", "/openapi.json", "/health"})
"""None of these tells anything about services, processes or nodes."""
CORRELATOR = re.compile(r"[a-zA-Z0-9\-_:;./<>{}]{1,256}")
"""As CAMARA has it."""
HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
}
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """What one client may do."""

    body_bytes: int = 2**20
    """Of a request."""
    body_s: float = 15.0
    """In which it has to arrive."""
    rate: float = 100.0
    """Requests a second of one bearer."""
    burst: float = 400.0
    """At once."""
    refused_rate: float = 1.0
    """Requests without a good token a second, from one address."""
    refused_burst: float = 20.0


Heard = Callable[[str, str, int, float], None]
"""Is told method, route, status and seconds of each request."""


class Guard:
    """An ASGI application before another one.

    Args:
        app: what is guarded.
        tokens: who may come in.
        limits: what they may do.
        heard: for statistics.
    """

    def __init__(self, app: ASGIApp, tokens: Tokens, limits: Limits, heard: Heard) -> None:
        self._app, self._tokens, self._limits, self._heard = app, tokens, limits, heard
        self._asked = Bucket(limits.rate, limits.burst)
        self._refused = Bucket(limits.refused_rate, limits.refused_burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status, complete = time.perf_counter(), 0, False
        given = Headers(scope=scope).get("x-correlator", "")
        correlator = given if CORRELATOR.fullmatch(given) else str(uuid.uuid4())

        async def answer(message: Message) -> None:
            nonlocal status, complete
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-correlator"] = correlator
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)
            complete = message["type"] == "http.response.body" and not message.get("more_body", False)

        scope.setdefault("state", {})["correlator"] = correlator

        try:
            await self._guarded(scope, receive, answer)
        except Exception:
            log.exception("request %s failed", correlator)
            if not complete:  # the connection has to be cut
                raise
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self._heard(scope["method"], route, status, time.perf_counter() - begun)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = (scope.get("client") or ("local", 0))[0]
        bearer = self._bearer(scope)
        if bearer is None and scope["path"] not in PUBLIC:
            wait = self._refused.take(host)
            answer = _too_many(wait) if wait else problem(401, NO_TOKEN, {"WWW-Authenticate": "Bearer"})
        elif wait := self._asked.take(host if bearer is None else f"token {bearer.name}"):
            answer = _too_many(wait)
        elif bearer is not None and not _may(bearer, scope):
            answer = problem(403, f"a token of scope '{bearer.scope}' is not good for this")
        else:
            answer = None
        if answer is not None:
            await answer(scope, receive, send)
            return
        try:
            body = await self._body(scope, receive)
        except _RefusedError as refused:
            await problem(refused.status, str(refused), {"Connection": "close"})(scope, receive, send)
            return
        scope["state"]["bearer"] = bearer
        await self._app(scope, _with(body, receive), send)

    def _bearer(self, scope: Scope) -> Bearer | None:
        kind, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
        return self._tokens.bearer(token.strip()) if kind.lower() == "bearer" else None

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """All of it, if it is not too much and comes in time."""
        most = self._limits.body_bytes
        length = Headers(scope=scope).get("content-length", "0")
        too_large = _RefusedError(413, f"found a body of more than {most} bytes, expected at most that")
        if length.isascii() and length.isdecimal() and (len(length) > 18 or int(length) > most):
            raise too_large
        body = b""
        try:
            async with asyncio.timeout(self._limits.body_s):
                more = True
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _RefusedError(400, "found a body that was cut off")
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > most:
                        raise too_large
        except TimeoutError:
            raise _RefusedError(408, f"the body did not come within {self._limits.body_s:g} s") from None
        return body


NO_TOKEN = "found no token that is good, expected the header 'Authorization: Bearer TOKEN'"


class _RefusedError(Exception):
    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def _too_many(wait: float) -> ASGIApp:
    return problem(429, "too many requests", {"Retry-After": str(int(wait) + 1)})


def _may(bearer: Bearer, scope: Scope) -> bool:
    """Whether that scope is good for that request."""
    method, path = scope["method"], scope["path"]
    if bearer.scope == "node":
        return method in ("POST", "PUT") and (path == "/nodes" or path.startswith("/nodes/"))
    return bearer.scope == "all" or (method in ("GET", "HEAD") and not path.startswith("/tokens"))


def _with(body: bytes, receive: Receive) -> Receive:
    """A request that has this body; afterwards whatever comes."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again
