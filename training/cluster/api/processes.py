"""Processes, their events and operations as routes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Response
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from snakegym.training.cluster.api.bodies import (
    Limit,
    Move,
    Offset,
    OperationId,
    ProcessId,
    ProcessRequest,
    ServiceFilter,
    Since,
    strictly,
)
from snakegym.training.cluster.api.stream import Streams
from snakegym.training.cluster.provider.provider import PAGE, ServiceProvider
from snakegym.training.cluster.provider.records import (
    OperationRecord,
    ProcessDetail,
    ProcessRecord,
    ProcessState,
)

STRICT = [Depends(strictly)]


class Events(BaseModel):
    """A page of events."""

    events: list[dict[str, Any]]
    last: bool
    """Whether the process is over and these are the last."""


def process_routes(provider: ServiceProvider, streams: Streams) -> APIRouter:
    """Start, watch, stop and move processes."""
    routes = APIRouter(prefix="/processes", tags=["processes"])

    @routes.post("", status_code=202, dependencies=STRICT)
    def start(wishes: ProcessRequest, response: Response) -> OperationRecord:
        """Ask for a process of a service; the operation says which and whether it has begun."""
        return _accepted(provider.start(**wishes.model_dump()), response)

    @routes.get("")
    def processes(
        service: ServiceFilter = None,
        state: ProcessState | None = None,
        limit: Limit = PAGE,
        offset: Offset = 0,
    ) -> list[ProcessRecord]:
        """The newest first."""
        return provider.processes(service, state, limit, offset)

    @routes.get("/{process}")
    def process(process: ProcessId) -> ProcessDetail:
        """One of them, with its network and layers as seen last."""
        return provider.process(process)

    @routes.post("/{process}/stop", status_code=202)
    def stop(process: ProcessId, response: Response) -> OperationRecord:
        """Ask for its end: a partial update is uploaded, then its nodes are released."""
        return _accepted(provider.stop(process), response)

    @routes.post("/{process}/migrate", status_code=202, dependencies=STRICT)
    def migrate(process: ProcessId, response: Response, move: Move | None = None) -> OperationRecord:
        """Ask for its Process Controller to be moved."""
        return _accepted(provider.migrate(process, None if move is None else move.machine), response)

    @routes.get(
        "/{process}/events",
        response_model=Events,
        responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
    )
    def events(
        process: ProcessId,
        since: Since = 0,
        limit: Limit = 1000,
        accept: Annotated[str, Header()] = "",
        last_event_id: Annotated[str, Header()] = "",
    ) -> Any:
        """Those with a higher number: a page, or with `Accept: text/event-stream` as they come."""
        if "text/event-stream" not in accept:
            found, last = provider.events(process, since, limit)
            return Events(events=found, last=last)
        since = _number(last_event_id, since)
        return StreamingResponse(streams.follow(process, since), media_type="text/event-stream")

    return routes


def _accepted(operation: OperationRecord, response: Response) -> OperationRecord:
    """The operation, and in the response's header where it is to be followed."""
    response.headers["location"] = f"/operations/{operation.id}"
    return operation


def _number(last_event_id: str, otherwise: int) -> int:
    """Of the last event that a client has heard, if it says one that we may have given."""
    ours = last_event_id.isascii() and last_event_id.isdecimal() and len(last_event_id) <= 12
    return int(last_event_id) if ours else otherwise


def operation_routes(provider: ServiceProvider) -> APIRouter:
    """What was asked for, and what became of it."""
    routes = APIRouter(prefix="/operations", tags=["operations"])

    @routes.get("")
    def operations(
        process: ServiceFilter = None, limit: Limit = PAGE, offset: Offset = 0
    ) -> list[OperationRecord]:
        """The newest first."""
        return provider.operations(process, limit, offset)

    @routes.get("/{operation}")
    def operation(operation: OperationId) -> OperationRecord:
        """One of them."""
        return provider.operation(operation)

    return routes
