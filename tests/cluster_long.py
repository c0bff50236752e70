"""A process of a tiny model on three real nodes for very many hops: neither memory nor a hop's time grows.

`--hops N`, `--mode cs|p2p`; prints, at 100, 500, 1,000 and so on, the private memory of all that takes part,
the seconds of a hop in the hundred hops before, and what the process keeps on the disk.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

# Not beside the tests of snakegym, whose folders bear our names.
sys.path[0] = str(Path(__file__).parent / "training" / "cluster" / "onray")

import psutil  # noqa: E402
import ray  # noqa: E402
from conftest import NAMES, Machines, all_machines, document  # noqa: E402

from snakegym.training.cluster.description import describe  # noqa: E402
from snakegym.training.cluster.hosting import Order  # noqa: E402
from snakegym.training.cluster.onray.host import RayHost  # noqa: E402
from snakegym.training.cluster.onray.node import node_actor  # noqa: E402

WITHIN_S = 120.0
"""For the next hundred hops to begin, whatever else the machine does."""
LOOKS = (100, 500)
EVERY = 1000
PARTS = ("host", "controller", "nodes", "raylets", "head")


def private_mib(pids: list[int]) -> float:
    """Memory that these processes have for themselves, all together; Ray's store is not counted."""
    return sum(psutil.Process(pid).memory_full_info().uss for pid in pids) / 2**20


def below(pid: int, word: str) -> list[int]:
    """The processes of that name that a raylet's command has started."""
    children = psutil.Process(pid).children(recursive=True)
    return [child.pid for child in children if word in child.name()]


class Long:
    """The process, and who takes part in it."""

    def __init__(self, machines: Machines, folder: Path, mode: str, hops: int) -> None:
        self.machines, self.folder, self.name = machines, folder / "long", "long"
        self.times: list[float] = []
        self.heard = 0
        self.host = RayHost(folder, machines.address)
        self._until(lambda: sum(node.alive for node in self.host.nodes()) == len(NAMES))
        service = describe(document(mode, hops=hops))
        service.scenario["process"]["budget"]["time_s"] = 1e6
        self.host.start(Order(self.name, service, NAMES))

    def reach(self, hops: int) -> list[float]:
        """Wait for so many hops; when the last hundred of them were over."""
        until, before = time.monotonic() + WITHIN_S, len(self.times)
        while len(self.times) < hops:
            for event in self.host.events(self.name, self.heard):
                self.heard = event["number"]
                if event["kind"] == "hop":
                    self.times.append(event["at"])
            if len(self.times) > before:
                until, before = time.monotonic() + WITHIN_S, len(self.times)
            assert time.monotonic() < until, self.host.events(self.name)[-3:]
            time.sleep(0.5)
        return self.times[hops - 100 : hops]

    def row(self, hops: int) -> str:
        """What is to be said at that hop."""
        times = self.reach(hops)
        kept = sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())
        log = (self.folder / "events.jsonl").stat().st_size
        memory = [f"{private_mib(pids):.0f}" for pids in self._pids()]
        a_hop = 1000 * (times[-1] - times[0]) / (len(times) - 1)
        return " | ".join(
            [f"{hops}", f"{a_hop:.0f}", *memory, f"{(kept - log) / 1e3:.0f}", f"{log / 1e3:.0f}"]
        )

    def _pids(self) -> list[list[int]]:
        controller = int(self.host.status(self.name).machine.rpartition("/")[2])
        nodes = [ray.get(node_actor(n).__ray_call__.remote(lambda self: os.getpid())) for n in NAMES]
        raylets = [pid for child in self.machines.nodes.values() for pid in below(child.pid, "raylet")]
        head = self.machines.head.pid
        return [
            [os.getpid()],
            [controller],
            nodes,
            raylets,
            below(head, "raylet") + below(head, "gcs_server"),
        ]

    def _until(self, due) -> None:  # type: ignore[no-untyped-def]
        until = time.monotonic() + WITHIN_S
        while not due():
            assert time.monotonic() < until
            time.sleep(0.1)


def main() -> None:
    """Run, look, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hops", type=int, default=2000)
    parser.add_argument("--mode", choices=("cs", "p2p"), default="cs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, all_machines(Path(name)) as machines:
        long = Long(machines, Path(name) / "processes", options.mode, options.hops + 100)
        print(" | ".join(["hop", "ms a hop", *(f"{part}, MiB" for part in PARTS), "kept, kB", "log, kB"]))
        looks = [*LOOKS, *range(EVERY, options.hops + 1, EVERY)]
        for hops in [look for look in looks if look <= options.hops]:
            print(long.row(hops), flush=True)
        long.host.stop(long.name)
        long.host.close()


if __name__ == "__main__":
    main()
