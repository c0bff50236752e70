"""A cluster of Ray on this machine: a head, and raylets of three nodes with a third of the samples each."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("ray")

from snakegym.cluster.samples import write_shares
from snakegym.control.service import load_service
from snakegym.scenario import load_scenario
from snakegym.training.cluster.description import ServiceDescription, describe
from snakegym.training.cluster.onray.host import RayHost
from snakegym.training.cluster.onray.session import end, kill, start_head, start_node

NAMES = ("a", "b", "c")


class Machines:
    """The raylets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address, self.head = start_head()
        self.nodes: dict[str, subprocess.Popen[bytes]] = {}

    def add(self, name: str) -> None:
        offer = {"name": name, "data": str(self.folder / name), "slots": 8}
        self.nodes[name] = start_node(self.address, offer, ip=f"127.0.0.{3 + NAMES.index(name)}")

    def kill(self, name: str) -> None:
        kill(self.nodes.pop(name))

    def close(self) -> None:
        for child in (*self.nodes.values(), self.head):
            end(child)


def document(mode: str = "p2p", hops: int = 10, **learning: Any) -> dict[str, Any]:
    plain = load_scenario("default").model_dump()
    plain["network"].update(mode=mode, nodes=3)
    plain["model"] = {"name": "mlp", "options": {"width": 16, "middle": 3}}
    plain["learning"].update({"batch_size": 32, "learning_rate": 0.005, "epochs": 2, **learning})
    plain["process"].update(budget={"time_s": 1000, "hops": hops}, wait_s=0.2)
    return {"name": "real", "scenario": plain, "scheduler": "serpentine"}


@pytest.fixture(scope="session")
def service() -> Callable[..., ServiceDescription]:
    """Makes one of three nodes."""
    return lambda *given, **fields: describe(document(*given, **fields))


def share_out(folder: Path) -> None:
    """A third of the samples for each node, in a folder of its name."""
    train = load_service(describe(document()).plan(), "test").data.train
    shares = [torch.arange(i, len(train), len(NAMES)) for i in range(len(NAMES))]
    write_shares([folder / name for name in NAMES], "digits", train, shares)


@contextmanager
def all_machines(folder: Path) -> Iterator[Machines]:
    """All nodes, with their samples."""
    share_out(folder)
    made = Machines(folder)
    try:
        for name in NAMES:
            made.add(name)
        yield made
    finally:
        made.close()


@pytest.fixture(scope="session")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with all_machines(tmp_path_factory.mktemp("nodes")) as made:
        yield made


@pytest.fixture
def host(machines: Machines, tmp_path: Path) -> Iterator[RayHost]:
    """A host, and all nodes alive."""
    made = RayHost(tmp_path / "processes", machines.address)
    try:
        until = time.monotonic() + 60
        while sum(report.alive for report in made.nodes()) < len(machines.nodes):
            assert time.monotonic() < until, made.nodes()
            time.sleep(0.1)
        yield made
    finally:
        made.close()
