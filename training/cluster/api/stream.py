"""Events as a stream: server-sent events, as browsers and curl read them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from snakegym.training.cluster.provider.provider import ServiceProvider

LOOK_S = 0.25
"""Between two looks for events."""
SIGN_S = 15.0
"""Of silence, after which a sign of life is sent."""
MOST_STREAMS = 64


class Streams:
    """So many at a time.

    Args:
        provider: whose events.
    """

    def __init__(self, provider: ServiceProvider) -> None:
        self._provider, self._open, self.closing = provider, 0, False

    def follow(self, process: str, since: int) -> AsyncIterator[str]:
        """The events of a process from there on, until it is over.

        Raises:
            MissingError: no such process.
            HTTPException: too many are followed already.
        """
        self._provider.events(process, since, limit=1)
        if self._open >= MOST_STREAMS:
            raise HTTPException(503, f"{MOST_STREAMS} streams are open already", {"Retry-After": "5"})
        return self._lines(process, since)

    async def _lines(self, process: str, since: int) -> AsyncIterator[str]:
        async with self._counted():
            silent = 0.0
            while not self.closing:
                events, last = await run_in_threadpool(self._provider.events, process, since)
                for event in events:
                    since = event["number"]
                    yield _line(event)
                if last:
                    yield "event: over\ndata: {}\n\n"
                    return
                silent = 0.0 if events else silent + LOOK_S
                if silent >= SIGN_S:
                    silent = 0.0
                    yield ":\n\n"
                await asyncio.sleep(LOOK_S)

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1


def _line(event: dict[str, Any]) -> str:
    return f"id: {event['number']}\nevent: {event['kind']}\ndata: {json.dumps(event)}\n\n"
