"""A provider that really serves, on a free port of the loopback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

WAIT_S = 60.0


class Provider:
    """`snakegym serve` in a process of its own.

    Args:
        folder: where it is started; its data folder is `provider` there.
        options: more of them.
    """

    def __init__(self, folder: Path, *options: object) -> None:
        self.folder, self._options = folder, options
        self.port = 0
        self.begin()

    def begin(self) -> None:
        """Start it, or start it again on the same port."""
        nodes = () if "--simulated" in self._options else ("--simulated", 4, "--slots", 8)
        options = ("--port", self.port, *nodes, *self._options)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "snakegym.training.cli", "serve", *map(str, options)],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"(https?://127\.0\.0\.1:(\d+)) ", line)
        assert found, self.process.communicate()[1]
        self.url, self.port = found[1], int(found[2])

    @property
    def token(self) -> str:
        return (self.folder / "provider" / "token").read_text().strip()

    def ask(self, method: str, path: str, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        answer = httpx.request(method, self.url + path, headers=headers, trust_env=False, timeout=30, **more)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def wait_for(self, process: str, kind: str) -> list[dict[str, Any]]:
        """Its events once there is one of that kind."""
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            events = self.ask("GET", f"/processes/{process}/events")["events"]
            if any(event["kind"] == kind for event in events):
                return list(events)
            time.sleep(0.1)
        raise AssertionError(f"no {kind} within {WAIT_S} s: {events}")

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Its exit status, and what it said on standard error."""
        if self.process.poll() is None:
            os.kill(self.process.pid, number)
        said = self.process.communicate(timeout=90)[1]
        return self.process.returncode, said


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Provider]]:
    """Start a provider with these options."""
    begun: list[Provider] = []

    def begin(*options: object) -> Provider:
        begun.append(Provider(tmp_path, *options))
        return begun[-1]

    yield begin
    for provider in begun:
        provider.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """A provider for all tests of a module that leave it as it is."""
    provider = Provider(tmp_path_factory.mktemp("provider"))
    yield provider
    provider.end(signal.SIGKILL)
