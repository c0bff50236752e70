"""Cuts a node's link for a while: `--seconds N`, `--mode cs|p2p`; every node is in a network namespace.

Prints after how many seconds the node is out of the pool, how many hops the others did meanwhile, and after
how many seconds it trains again once the link is back. Needs root and `ip`; touches no address but its own.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# Not beside the tests of snakegym, whose folders bear our names.
sys.path[0] = str(Path(__file__).parent / "training" / "cluster" / "onray")

from conftest import NAMES, document, share_out  # noqa: E402

from snakegym.training.cluster.description import describe  # noqa: E402
from snakegym.training.cluster.hosting import Event, Order  # noqa: E402
from snakegym.training.cluster.onray.host import RayHost  # noqa: E402
from snakegym.training.cluster.onray.session import end, environment, start_head  # noqa: E402

PREFIX = os.environ.setdefault("SNAKEGYM_CUT", f"snakegym-cut-{os.getpid()}")
HUB, NET = f"{PREFIX}-hub", "10.83.0"
NOTICED_S = 5.0
BUSY_S = float(os.environ.get("SNAKEGYM_BUSY_S", 10.0))
"""What a busy machine may add."""
WITHIN_S = 180.0
NODE = """
import sys, time
from snakegym.errors import SnakegymError
from snakegym.training.cluster.onray.session import start_node
address, name, data, ip = sys.argv[1:]
while True:  # as `snakegym node` does: a raylet that the head took for dead is begun anew
    try:
        child = start_node(address, {"name": name, "data": data, "slots": 8}, ip=ip)
        print("joined", flush=True)
        child.wait()
    except SnakegymError as error:
        print(error, file=sys.stderr, flush=True)
    time.sleep(1)
"""


def ip(*words: str) -> None:
    """The command of that name."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


def namespace(name: str) -> str:
    """In which that node is."""
    return f"{PREFIX}-{name}"


@contextmanager
def network() -> Iterator[None]:
    """A namespace for the head, one for each node, and a bridge between them in the first."""
    try:
        for name in ("hub", *NAMES):
            ip("netns", "add", namespace(name))
            ip("-n", namespace(name), "link", "set", "lo", "up")
        ip("-n", HUB, "link", "add", "bridge", "type", "bridge")
        ip("-n", HUB, "address", "add", f"{NET}.1/24", "dev", "bridge")
        ip("-n", HUB, "link", "set", "bridge", "up")
        for i, name in enumerate(NAMES):
            there = namespace(name)
            ip("-n", HUB, "link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth", "netns", there)
            ip("-n", HUB, "link", "set", f"to-{name}", "master", "bridge", "up")
            ip("-n", there, "address", "add", f"{NET}.{2 + i}/24", "dev", "eth")
            ip("-n", there, "link", "set", "eth", "up")
        yield
    finally:
        for name in (*NAMES, "hub"):
            found = subprocess.run(["ip", "netns", "pids", namespace(name)], capture_output=True, text=True)
            for pid in found.stdout.split():
                subprocess.run(["kill", "-9", pid], capture_output=True)
            subprocess.run(["ip", "netns", "delete", namespace(name)], capture_output=True)


class Trial:
    """A process, one of whose nodes is cut off."""

    def __init__(self, host: RayHost, mode: str) -> None:
        self.host, self.name = host, f"cut-{mode}"
        host.start(Order(self.name, describe(document(mode, hops=100_000, epochs=40)), NAMES))
        self._until(lambda: len(self.hops()) > 5)

    def hops(self) -> list[Event]:
        return [e for e in self.host.events(self.name) if e["kind"] == "hop"]

    def cut(self, name: str, seconds: float) -> str:
        """For so long; what came of it."""
        before, start = len(self.hops()), time.monotonic()
        ip("-n", HUB, "link", "set", f"to-{name}", "down")
        self._until(lambda: not self._reachable(name))
        noticed = time.monotonic() - start
        assert noticed < NOTICED_S + BUSY_S, f"noticed after {noticed:.1f} s"
        time.sleep(max(0.0, seconds - (time.monotonic() - start)))
        meanwhile = self.hops()[before:]
        ip("-n", HUB, "link", "set", f"to-{name}", "up")
        start = time.monotonic()
        self._until(lambda: self._reachable(name))
        back = time.monotonic() - start
        last = len(self.hops())
        self._until(lambda: name in [e["node"] for e in self.hops()[last:] if e["delivered"]])
        trained = time.monotonic() - start
        given_up = sum(bool(e["abandoned"]) for e in meanwhile)
        others = sum(e["delivered"] for e in meanwhile)
        return (
            f"out of the pool after {noticed:.1f} s, {others} hops of the others meanwhile, {given_up} given "
            f"up, in reach {back:.1f} s after the link was back, trained again after {trained:.1f} s"
        )

    def end(self) -> list[Event]:
        """Its events; the process is whole."""
        self.host.stop(self.name)
        self._until(lambda: self.host.events(self.name)[-1]["kind"] in ("ended", "failed"))
        events = self.host.events(self.name)
        assert events[-1]["kind"] == "ended", events[-1]
        hops = [e["hop"] for e in events if e["kind"] == "hop"]
        assert hops == list(range(len(hops))), "a hop is missing, or was counted twice"
        return events

    def _reachable(self, name: str) -> bool:
        seats = self.host.status(self.name).snapshot["nodes"]
        return any(seat["node"] == name and seat["reachable"] for seat in seats)

    def _until(self, due: Callable[[], bool]) -> None:
        until = time.monotonic() + WITHIN_S
        while not due():
            assert time.monotonic() < until, self.host.events(self.name)[-5:]
            time.sleep(0.05)


def inside(modes: list[str], seconds: float) -> None:
    """All of it, in the namespace of the head."""
    with tempfile.TemporaryDirectory() as found:
        folder = Path(found)
        share_out(folder)
        address, head = start_head(f"{NET}.1")
        nodes = []
        for i, name in enumerate(NAMES):
            command = ["ip", "netns", "exec", namespace(name), sys.executable, "-c", NODE]
            command += [address, name, str(folder / name), f"{NET}.{2 + i}"]
            nodes.append(subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True))
            assert nodes[-1].stdout is not None
            assert nodes[-1].stdout.readline() == "joined\n"
        host = RayHost(folder / "processes", address)
        try:
            until = time.monotonic() + WITHIN_S
            while sum(node.alive for node in host.nodes()) < len(NAMES):
                assert time.monotonic() < until, host.nodes()
                time.sleep(0.1)
            for mode in modes:
                trial = Trial(host, mode)
                for whom in ("who has the model", "another"):
                    last = trial.hops()[-1]["node"]
                    name = last if whom == "who has the model" else next(n for n in NAMES if n != last)
                    print(f"{mode}, {whom}, for {seconds:g} s: {trial.cut(name, seconds)}", flush=True)
                events = trial.end()
                lost = sum(e["hops_lost"] for e in events if e["kind"] == "recovery")
                print(f"{mode}: {lost} hops lost, accuracy {events[-1]['test_accuracy']:.3f}", flush=True)
        finally:
            host.close()
            for node in nodes:
                node.kill()
            end(head)


def main() -> None:
    """Make the network, and go in."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--mode", choices=("cs", "p2p"), action="append")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return inside(options.mode or ["cs", "p2p"], options.seconds)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what is made here is taken away
    with network():
        command = ["ip", "netns", "exec", HUB, sys.executable, __file__, "--inside", *sys.argv[1:]]
        code = subprocess.run(command).returncode
    sys.exit(code)


if __name__ == "__main__":
    main()
