"""Kills parts of a cluster again and again, and sees that its processes go on: `--kills N`, `--seed S`.

Four kinds in turn, at a random moment of a hop: a node's worker, the raylet of the node that has the model
with all that it has started, the controller of a process, and the provider's program (here another host takes
its folder over). After each the process delivers a hop again; at its end no hop is missing or counted twice.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median

# Not beside the tests of snakegym, whose folders bear our names.
sys.path[0] = str(Path(__file__).parent / "training" / "cluster" / "onray")

import ray  # noqa: E402
from conftest import NAMES, Machines, all_machines, document  # noqa: E402

from snakegym.training.cluster.description import describe  # noqa: E402
from snakegym.training.cluster.hosting import Event, Order  # noqa: E402
from snakegym.training.cluster.onray.host import RayHost  # noqa: E402
from snakegym.training.cluster.onray.node import node_actor  # noqa: E402

KINDS = ("worker", "raylet", "controller", "provider")
WITHIN_S = 90.0


class Trial:
    """A process that has to outlive what is done to it."""

    def __init__(self, machines: Machines, folder: Path, mode: str, rng: random.Random) -> None:
        self.machines, self.folder, self.rng, self.name = machines, folder, rng, f"p-{mode}"
        self.service = describe(document(mode, hops=100_000, epochs=60))
        self.host = RayHost(folder, machines.address)
        self._until(lambda: sum(node.alive for node in self.host.nodes()) == len(NAMES))
        self.host.start(Order(self.name, self.service, NAMES))
        self._until(lambda: len(self.hops()) > 4)

    def hops(self) -> list[Event]:
        return [e for e in self.host.events(self.name) if e["kind"] == "hop" and e["delivered"]]

    def kill(self, kind: str) -> float:
        """Do it; seconds until a hop was delivered that began after it."""
        last = self.hops()[-1]
        time.sleep(self.rng.random() * 0.4)
        start = time.time()
        victim = self.rng.choice(NAMES)
        match kind:
            case "worker":
                pid = ray.get(node_actor(victim).__ray_call__.remote(lambda self: os.getpid()), timeout=60)
                os.kill(pid, signal.SIGKILL)
            case "raylet":
                victim = last["node"]
                self.machines.kill(victim)
            case "controller":
                os.kill(int(self.host.status(self.name).machine.rpartition("/")[2]), signal.SIGKILL)
            case "provider":
                run = self.host._runs[self.name]
                ray.kill(run.actor)
                self.host._runs.clear()
                self.host.start(Order(self.name, self.service, NAMES, resume=True))
        self._until(lambda: self.hops()[-1]["at"] > start + 0.5)
        took = next(e["at"] for e in self.hops() if e["at"] > start + 0.5) - start
        if kind == "raylet":
            self.machines.add(victim)
            self._until(lambda: victim in [e["node"] for e in self.hops()[-6:]])
        return took

    def end(self) -> list[Event]:
        """Its events; the process is whole."""
        self.host.stop(self.name)
        self._until(lambda: self.host.events(self.name)[-1]["kind"] in ("ended", "failed"))
        events = self.host.events(self.name)
        assert events[-1]["kind"] == "ended", events[-1]
        assert [e["number"] for e in events] == list(range(1, len(events) + 1))
        hops = [e["hop"] for e in events if e["kind"] == "hop"]
        assert hops == list(range(len(hops))), "a hop is missing, or was counted twice"
        self.host.close()
        return events

    def _until(self, due: Callable[[], bool]) -> None:
        until = time.monotonic() + WITHIN_S
        while not due():
            assert time.monotonic() < until, self.host.events(self.name)[-5:]
            time.sleep(0.05)


def main() -> None:
    """Kill, look, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, took = random.Random(options.seed), {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as name, all_machines(Path(name)) as machines:
        try:
            for mode in ("cs", "p2p"):
                trial, kinds = Trial(machines, Path(name) / "processes", mode, rng), []
                for number in range(options.kills // 2):
                    kinds.append(KINDS[number % len(KINDS)])
                    seconds = trial.kill(kinds[-1])
                    took[kinds[-1]].append(seconds)
                    print(f"{mode} {number + 1}: {kinds[-1]}, a hop again after {seconds:.1f} s", flush=True)
                events = trial.end()
                hops = [e for e in events if e["kind"] == "hop"]
                lost = sum(e["hops_lost"] for e in events if e["kind"] == "recovery")
                given_up, score = sum(bool(e["abandoned"]) for e in hops), events[-1]["test_accuracy"]
                print(
                    f"{mode}: {len(kinds)} kills {dict(Counter(kinds))}, {len(hops)} hops, {given_up} given "
                    f"up, {lost} lost with their holder, accuracy {score:.3f}"
                )
        except Exception:
            traceback.print_exc()  # before Ray ends this program, which it does when its head is gone
            raise
    for kind, seconds in took.items():
        if seconds:
            print(
                f"{kind}: {len(seconds)}, a hop again after {median(seconds):.1f} s, "
                f"at most {max(seconds):.1f} s"
            )


if __name__ == "__main__":
    main()
