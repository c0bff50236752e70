"""Traces played on the links and the compute of nodes, as time passes."""

from __future__ import annotations

import heapq
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Protocol

from snakegym.errors import SnakegymError
from snakegym.network.network import Network
from snakegym.network.records import PCE
from snakegym.network.traces.trace import Trace
from snakegym.training.cluster.fidelity.laboratory import DEVICE, HUB, namespace, port_of
from snakegym.training.cluster.fidelity.quota import Group

HEADERS: Final = 1514 / 1448
"""Bytes of a full Ethernet frame for each that TCP carries in it: rates of traces are what programs get."""
BURST_BYTES: Final = 6_000
QUEUE_BYTES: Final = 256_000
LEAST_BPS: Final = 1_000
"""tbf knows no rate of 0."""


class Dials(Protocol):
    """What is turned as traces change."""

    def uplink(self, node: int, bps: float) -> None: ...

    def downlink(self, node: int, bps: float) -> None: ...

    def compute(self, node: int, share: float) -> None: ...


class Replay:
    """The traces of a network, from its time 0 on, played in a thread until `stop`.

    Args:
        network: whose traces; read as the simulator reads them.
        dials: are turned at every change.

    Attributes:
        zero_s: seconds since 1970 at the network's time 0.
    """

    def __init__(self, network: Network, dials: Dials) -> None:
        self._over = threading.Event()
        self.zero_s = time.time()
        self._begin = time.monotonic()
        changes: list[tuple[float, int]] = []
        self._tracks = [
            (trace.segments(offset), turn, node)
            for node in range(network.n_nodes)
            for (trace, offset), turn in _turned(network, node, dials)
        ]
        for index in range(len(self._tracks)):
            self._next(changes, 0.0, index)
        self._thread = threading.Thread(target=self._play, args=(changes,), daemon=True, name="replay")
        self._thread.start()

    def stop(self) -> None:
        """Everything stays as it is."""
        self._over.set()
        self._thread.join()

    def _next(self, changes: list[tuple[float, int]], now_s: float, index: int) -> None:
        segments, turn, node = self._tracks[index]
        lasts_s, value = next(segments)
        turn(node, value)
        heapq.heappush(changes, (now_s + lasts_s, index))

    def _play(self, changes: list[tuple[float, int]]) -> None:
        while changes:
            due_s, index = heapq.heappop(changes)
            if self._over.wait(max(0.0, self._begin + due_s - time.monotonic())):
                return
            self._next(changes, due_s, index)


def _turned(
    network: Network, node: int, dials: Dials
) -> list[tuple[tuple[Trace, float], Callable[[int, float], None]]]:
    return [
        (network.compute_course(node).traces[0], dials.compute),
        (network.link_course(node, PCE).traces[0], dials.uplink),
        (network.link_course(PCE, node).traces[0], dials.downlink),
    ]


class Machine:
    """The `Dials` of namespaces (`laboratory`): tbf at both ends of a link, a group with a quota for compute.

    Args:
        files: of each node: where it reads which share of its compute is free.
        groups: of each node's training; empty where nodes hold themselves back by what they read.
        shares: of a processor, that each has when all of it is free.

    Raises:
        SnakegymError: when it is left: tc refused something.
    """

    def __init__(self, files: Sequence[Path], groups: Sequence[Group], shares: Sequence[float]) -> None:
        self._files, self._groups, self._shares = files, groups, shares
        self._hub, self._nodes = _Tc(HUB), [_Tc(namespace(node)) for node in range(len(files))]

    def __enter__(self) -> Machine:
        for node, tc in enumerate(self._nodes):
            tc.say("add", DEVICE, 1e9)
            self._hub.say("add", port_of(node), 1e9)
        return self

    def uplink(self, node: int, bps: float) -> None:
        """Of what the node sends, bit/s."""
        self._nodes[node].say("change", DEVICE, bps)

    def downlink(self, node: int, bps: float) -> None:
        """Of what it receives."""
        self._hub.say("change", port_of(node), bps)

    def compute(self, node: int, share: float) -> None:
        """Of its compute that is free, in [0, 1]."""
        if self._groups:
            self._groups[node].limit(share * self._shares[node])
        beside = self._files[node].with_suffix(".new")
        beside.write_text(repr(float(share)), encoding="ascii")
        beside.replace(self._files[node])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        said = [text for tc in (self._hub, *self._nodes) if (text := tc.close())]
        if said and kind is None:
            raise SnakegymError(f"tc: {said[0]}, expected it to shape links by tbf")


class _Tc:
    """A tc that is told line by line: starting one for each change would cost more than what it does."""

    def __init__(self, name: str) -> None:
        self._program = subprocess.Popen(
            ["tc", "-n", name, "-force", "-batch", "-"],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )

    def say(self, verb: str, device: str, bps: float) -> None:
        """Shape what leaves through that device to a rate."""
        rate = round(max(bps, LEAST_BPS) * HEADERS)
        line = f"qdisc {verb} dev {device} root tbf rate {rate}bit burst {BURST_BYTES} limit {QUEUE_BYTES}\n"
        pipe: IO[str] | None = self._program.stdin
        assert pipe is not None
        pipe.write(line)
        pipe.flush()

    def close(self) -> str:
        """What it complained of, in one line."""
        _, said = self._program.communicate()
        return " ".join(said.split())[:200]
