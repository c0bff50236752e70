"""What goes wrong, as problem documents (RFC 9457) with the codes of CAMARA."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from snakegym.errors import SnakegymError
from snakegym.training.cluster.provider.errors import ConflictError, MissingError

MEDIA = "application/problem+json"
CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "TIMEOUT",
    409: "CONFLICT",
    413: "OUT_OF_RANGE",
    429: "TOO_MANY_REQUESTS",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
SHOWN = 8
"""Fields named in an answer."""
log = logging.getLogger(__name__)


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """A problem document."""
    title = HTTPStatus(status).phrase
    document = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "code": CODES.get(status, title.upper().replace(" ", "_")),
        "detail": detail,
    }
    return Response(json.dumps(document), status, dict(headers or {}), MEDIA)


def explain_problems(app: FastAPI) -> None:
    """Whatever is raised in the app is answered by a problem document."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(SnakegymError, _refused)
    app.add_exception_handler(OperationalError, _away)
    app.add_exception_handler(Exception, _unforeseen)


def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), error.headers)


def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [
        f"{'.'.join(map(str, fault['loc']))[:200]}: {fault['msg'][:200]}" for fault in error.errors()[:SHOWN]
    ]
    return problem(400, "; ".join(faults).encode("utf-8", "backslashreplace").decode())


def _refused(_: Request, error: Exception) -> Response:
    status = 404 if isinstance(error, MissingError) else 409 if isinstance(error, ConflictError) else 400
    return problem(status, str(error).encode("utf-8", "backslashreplace").decode())


def _away(_: Request, error: Exception) -> Response:
    log.error("the registry is out of reach: %s", error)
    return problem(503, "the registry is out of reach, try again later", {"Retry-After": "5"})


def _unforeseen(request: Request, _: Exception) -> Response:
    """The reason is in the log, not in the answer."""
    correlator = getattr(request.state, "correlator", "")
    return problem(500, f"an error of the provider; its log has it under {correlator}")
