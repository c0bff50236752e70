"""Services and hosts for tests of the cluster."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from snakegym.documents import parse_yaml
from snakegym.training.cluster.description import ServiceDescription, describe
from snakegym.training.cluster.hosting import Event, NodeReport, Order, ProcessHost, Status
from snakegym.training.cluster.local.host import LocalHost
from snakegym.training.cluster.provider.nodes import Nodes
from snakegym.training.cluster.provider.provider import ServiceProvider
from snakegym.training.cluster.provider.steward import Steward
from snakegym.training.cluster.registry.store import Registry

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


class Stage:
    """A `ProcessHost` as tests want it; it notes what it is told."""

    def __init__(self, n_nodes: int, slots: int = 1) -> None:
        self.there = {f"n{i}": NodeReport(f"n{i}", slots=slots) for i in range(n_nodes)}
        self.orders: dict[str, Order] = {}
        self.said: list[tuple[Any, ...]] = []
        self.told: dict[str, list[Event]] = defaultdict(list)
        self.snapshots: dict[str, dict[str, Any]] = defaultdict(dict)

    def tell(self, process: str, kind: str, **more: Any) -> None:
        self.told[process].append({"number": len(self.told[process]) + 1, "at": 1.0, "kind": kind, **more})

    def start(self, order: Order) -> None:
        self.orders[order.process] = order
        self.tell(order.process, "resumed" if self.told[order.process] else "started", metric=0.1)

    def lease(self, process: str, nodes: Sequence[str]) -> None:
        self.said.append(("lease", process, *nodes))

    def stop(self, process: str) -> None:
        self.said.append(("stop", process))

    def migrate(self, process: str, machine: str | None = None) -> None:
        self.said.append(("migrate", process, machine))

    def status(self, process: str) -> Status:
        return Status("running", "here", self.snapshots[process])

    def events(self, process: str, since: int = 0) -> list[Event]:
        return self.told[process][since:]

    def nodes(self) -> list[NodeReport]:
        return [*self.there.values()]

    def close(self) -> None:
        self.said.append(("close",))


class World:
    """A provider, its steward and its stage, on a database that outlives them."""

    def __init__(self, url: str, stage: Stage) -> None:
        self.registry, self.stage = Registry(url), stage
        self.provider, self.nodes = ServiceProvider(self.registry), Nodes(self.registry)
        self.steward = Steward(self.registry, stage)

    def rounds(self, n: int = 3) -> None:
        for _ in range(n):
            self.steward._nodes_seen = float("-inf")
            self.steward.round()

    def started(self, service: str, **wishes: Any) -> str:
        """A process of that service that has begun, if there are nodes for it."""
        process = self.provider.start(service, **wishes).process
        self.rounds()
        return process

    def state(self, process: str) -> str:
        return self.provider.process(process).state

    def kinds(self, process: str) -> list[str]:
        return [event["kind"] for event in self.provider.events(process)[0]]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'registry.db'}"


@pytest.fixture
def world(url: str, document: dict[str, Any]) -> Iterator[World]:
    """Three nodes, and the tiny service, which wants three."""
    world = World(url, Stage(3))
    world.rounds(1)
    world.provider.register(document)
    yield world
    world.registry.close()


@pytest.fixture
def another_world(url: str, world: World) -> World:
    """The same after a restart of the provider; the host's processes have left their events."""
    stage = Stage(3)
    stage.told = world.stage.told
    return World(url, stage)
