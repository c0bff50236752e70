"""Services and hosts for tests of the cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from snakegym.documents import parse_yaml
from snakegym.training.cluster.description import ServiceDescription, describe
from snakegym.training.cluster.hosting import Event, ProcessHost
from snakegym.training.cluster.local.host import LocalHost

TINY = Path(__file__).parents[2] / "tiny.yaml"
WAIT_S = 90.0


@pytest.fixture
def document() -> dict[str, Any]:
    """A service of three nodes and five hops as plain data."""
    return {"name": "tiny", "scenario": parse_yaml(TINY.read_text(), "tiny"), "scheduler": "fastest"}


@pytest.fixture
def service(document: dict[str, Any]) -> ServiceDescription:
    return describe(document)


@pytest.fixture
def make_host(tmp_path: Path) -> Iterator[Callable[..., LocalHost]]:
    """A host of this machine, on the same folder at each call."""
    made: list[LocalHost] = []

    def make(**options: Any) -> LocalHost:
        made.append(LocalHost(tmp_path / "processes", **options))
        return made[-1]

    yield make
    for host in made:
        host.close()


@pytest.fixture
def wait_for() -> Callable[..., list[Event]]:
    """All events of a process once one of that kind is there."""

    def wait(host: ProcessHost, process: str, *kinds: str, more_than: int = 0) -> list[Event]:
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            events = host.events(process)
            if sum(event["kind"] in kinds for event in events) > more_than:
                return events
            time.sleep(0.02)
        raise AssertionError(f"no {kinds} within {WAIT_S} s: {events}")

    return wait
