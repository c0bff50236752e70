"""Asking a provider over HTTP: whatever goes wrong is said in one line."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from snakegym.documents import parse_json
from snakegym.errors import SnakegymError, in_one_line
from snakegym.files import read_text
from snakegym.training.cluster.commands.config import FOLDER, ClientConfig

LOOK_S = 0.2
"""Between two looks at an operation."""
PATIENCE_S = 30.0
"""For a provider that went away while a process was watched."""


class Client:
    """A provider, as seen from elsewhere.

    Args:
        config: where it is, and with which token.

    Raises:
        SnakegymError: there is no token.
    """

    def __init__(self, config: ClientConfig) -> None:
        self._address = config.provider.rstrip("/")
        verify: ssl.SSLContext | bool = True
        if config.ca is not None:
            try:
                verify = ssl.create_default_context(cafile=config.ca)
            except OSError as error:
                raise SnakegymError(f"--ca: {config.ca}: {error.strerror or error}") from None
        headers = {"Authorization": f"Bearer {_token(config)}"}
        # No proxy of the environment: it would see the token, and a loopback is not behind one.
        self._http = httpx.Client(
            base_url=self._address, headers=headers, timeout=30.0, verify=verify, trust_env=False
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ask(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """The document of an answer; None where there is none.

        Raises:
            SnakegymError: no provider, a token that is not good, or whatever the provider objects to.
        """
        given = {key: value for key, value in query.items() if value is not None}
        with self._plainly():
            answer = self._http.request(method, path, json=body, params=given)
        if answer.is_success:
            return self._document(answer.content) if answer.content else None
        raise SnakegymError(self._objection(answer.status_code, answer.content))

    def follow(self, process: str, since: int) -> Iterator[dict[str, Any]]:
        """Its events as they come, until it is over; a provider that is started again is gone on with."""
        last, until = since, 0.0
        while True:
            try:
                for event in self._stream(process, last):
                    if event is None:
                        return
                    last, until = event["number"], 0.0
                    yield event
            except httpx.TransportError as error:
                until = until or time.monotonic() + PATIENCE_S
                if time.monotonic() > until:
                    raise SnakegymError(self._unreachable(error)) from None
            time.sleep(LOOK_S)

    def wait_for(self, operation: dict[str, Any]) -> dict[str, Any]:
        """The operation once it is done. Raises SnakegymError if it fails."""
        while operation["state"] == "PROCESSING":
            time.sleep(LOOK_S)
            operation = self.ask("GET", f"/operations/{operation['id']}")
        if operation["state"] == "FAILED":
            raise SnakegymError(f"{operation['kind']} of {operation['process']}: {operation['detail']}")
        return operation

    def _stream(self, process: str, since: int) -> Iterator[dict[str, Any] | None]:
        """Events, then None if the process is over."""
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(since)}
        with self._http.stream("GET", f"/processes/{process}/events", headers=headers) as answer:
            if not answer.is_success:
                raise SnakegymError(self._objection(answer.status_code, answer.read()))
            kind = ""
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data" and kind == "over":
                    yield None
                elif name == "data":
                    yield self._document(value)

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        try:
            yield
        except httpx.InvalidURL as error:
            raise SnakegymError(f"--provider: {self._address}: {error}") from None
        except (httpx.TransportError, ValueError) as error:
            raise SnakegymError(self._unreachable(error)) from None

    def _unreachable(self, error: Exception) -> str:
        reason = in_one_line(error)
        return f"{self._address}: found no provider there ({reason}), expected one: snakegym serve"

    def _document(self, content: str | bytes) -> Any:
        return parse_json(content, f"{self._address}: the answer")

    def _objection(self, status: int, content: bytes) -> str:
        if status == 401:
            return (
                f"{self._address}: this token is not good, expected that in the provider's folder: --token "
                "FILE, or SNAKEGYM_TOKEN"
            )
        try:
            return str(self._document(content)["detail"])
        except (SnakegymError, LookupError, TypeError):
            return f"{self._address}: found an answer {status} that is not a provider's"


def _token(config: ClientConfig) -> str:
    if config.token is None and (given := os.environ.get("SNAKEGYM_TOKEN")):
        token, origin = given, "SNAKEGYM_TOKEN"
    else:
        path = config.token or FOLDER / "token"
        if config.token is None and not path.exists():
            raise SnakegymError(
                f"found no token ({path}, where a provider that was started here has it), expected --token "
                "FILE, or SNAKEGYM_TOKEN"
            )
        token, origin = read_text(path, "the token", 10_000), str(path)
    token = token.strip()
    if not token or not (token.isascii() and token.isprintable()):
        raise SnakegymError(f"{origin}: found no token, expected a line of letters")
    return token
