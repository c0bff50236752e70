"""The steward of a provider: carries out what the registry says, and writes down what happens.

It alone talks to the host. Each round looks at all of it anew, so a round that fails, or a provider that is
killed in the middle of one, leaves nothing that the next would not put right.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from snakegym.errors import SnakegymError
from snakegym.training.cluster.hosting import Order, ProcessHost
from snakegym.training.cluster.provider.allocation import Demand, Offer, allocate
from snakegym.training.cluster.provider.following import follow, note, over
from snakegym.training.cluster.provider.nodes import Nodes
from snakegym.training.cluster.provider.provider import described, leased
from snakegym.training.cluster.provider.records import OVER
from snakegym.training.cluster.registry.store import Registry
from snakegym.training.cluster.registry.tables import Lease, Node, Operation, Process

ROUND_S = 0.1
"""Between two rounds."""
NODES_S = 1.0
"""Between two looks at the nodes."""
log = logging.getLogger(__name__)


class Steward:
    """Runs the processes of a registry on a host.

    Args:
        registry: of the provider.
        host: is used by this thread alone.
        now: seconds since 1970.
    """

    def __init__(self, registry: Registry, host: ProcessHost, now: Callable[[], float] = time.time) -> None:
        self._registry, self._host, self._now = registry, host, now
        self._nodes = Nodes(registry, now)
        self._nodes_seen = float("-inf")
        self._known: set[str] = set()
        self._leases: dict[str, tuple[str, ...]] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Work in a thread of its own until `end`."""
        with self._registry.writing() as session:  # the host of a new program knows of nothing
            for row in session.scalars(select(Operation).where(Operation.state == "PROCESSING")):
                row.told = False
        self.round()
        self._thread = threading.Thread(target=self._work, name="steward", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop after the round under way, and let the host leave."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._host.close()

    def round(self) -> None:
        """Look at nodes, operations, processes and leases once."""
        now = time.monotonic()
        if now - self._nodes_seen >= NODES_S:
            self._nodes.hear_of(self._host.nodes())
            self._nodes_seen = now
        with self._registry.reading() as session:
            rows = session.scalars(select(Process).where(Process.state.not_in(OVER))).all()
        for row in rows:
            if row.state != "waiting":
                self._attend(row)
        self._allocate()

    def _work(self) -> None:
        while not self._stop.wait(ROUND_S):
            try:
                self.round()
            except Exception:  # of a database that is away for a while, say
                log.exception("a round of the steward failed")

    def _attend(self, row: Process) -> None:
        """Start a process if the host does not know it, tell the host what was asked for, and follow it."""
        with self._registry.reading() as session:
            nodes = tuple(leased(session, [row.id])[row.id])
            query = select(Operation).where(Operation.process == row.id, Operation.state == "PROCESSING")
            asked = [one for one in session.scalars(query) if not one.told and one.kind != "start"]
        if row.id not in self._known:
            try:  # ids are never used twice: what is there of it is its own
                self._host.start(Order(row.id, described(row), nodes, resume=True))
            except SnakegymError as error:
                with self._registry.writing() as session:
                    over(session, session.get_one(Process, row.number), "failed", str(error), self._now())
                return
            self._known.add(row.id)
            self._leases[row.id] = nodes
        for one in asked:
            if one.kind == "stop":
                self._host.stop(row.id)
            else:
                self._host.migrate(row.id, one.machine)
            with self._registry.writing() as session:
                session.get_one(Operation, one.number).told = True
        if self._leases[row.id] != nodes:
            self._host.lease(row.id, nodes)
            self._leases[row.id] = nodes
        self._follow(row)

    def _follow(self, row: Process) -> None:
        """Write down what happened since, if anything did."""
        events = self._host.events(row.id, row.heard)
        status = self._host.status(row.id)
        if not events and status.machine == row.machine:
            return
        with self._registry.writing() as session:
            kept = session.get_one(Process, row.number)  # others may have written to it
            kept.machine, kept.snapshot = status.machine, status.snapshot
            follow(session, kept, events, self._now())

    def _allocate(self) -> None:
        """Lease and take nodes as priorities and loads are now."""
        with self._registry.reading() as session:
            rows = session.scalars(select(Process).where(Process.state.not_in((*OVER, "terminating")))).all()
            nodes = session.scalars(select(Node).where(Node.hosted)).all()
            leases = session.scalars(select(Lease)).all()
        usable = [node for node in nodes if node.alive and node.authorised]
        lost = self._lost(leases, {node.name for node in usable})
        held: dict[str, list[str]] = defaultdict(list)
        for lease in leases:
            if not lease.releasing and lease not in lost:
                held[lease.process].append(lease.node)
        wanting = [row for row in rows if len(held[row.id]) < row.wish]
        if wanting:
            busy = Counter(lease.node for lease in leases)
            coming = Counter(lease.node for lease in leases if lease.releasing)
            demands = [_demand(row, usable, held[row.id]) for row in rows]
            plan = allocate(demands, [Offer(n.name, n.slots, busy[n.name], coming[n.name]) for n in usable])
        if lost or (wanting and (plan.grants or plan.takes)):
            with self._registry.writing() as session:
                for lease in lost:
                    self._lose(session, lease)
                if wanting:
                    self._carry_out(session, plan.grants, plan.takes)

    def _lost(self, leases: Sequence[Lease], usable: set[str]) -> list[Lease]:
        """Leases of nodes that died, or may not be used any longer."""
        return [lease for lease in leases if lease.node not in usable]

    def _lose(self, session: Session, lease: Lease) -> None:
        """A node is gone from a process: it need not give anything back."""
        process = session.scalar(select(Process).where(Process.id == lease.process))
        gone = session.get(Lease, (lease.process, lease.node))
        if process is None or gone is None:
            return
        session.delete(gone)
        if not gone.releasing:
            note(session, process, "lost", self._now(), {"node": lease.node})

    def _carry_out(self, session: Session, grants: dict[str, list[str]], takes: dict[str, list[str]]) -> None:
        now = self._now()
        for name, nodes in takes.items():
            for node in nodes:
                lease = session.get(Lease, (name, node))
                if lease is not None:
                    lease.releasing = True
        for name, nodes in grants.items():
            process = session.scalar(select(Process).where(Process.id == name))
            if process is None or process.state in (*OVER, "terminating"):
                continue
            for node in nodes:
                session.merge(Lease(process=name, node=node, releasing=False, since=now))
            if process.state == "waiting":
                process.state, process.reason = "instantiating", ""


def _demand(row: Process, usable: Sequence[Node], held: Sequence[str]) -> Demand:
    return Demand(
        process=row.id,
        priority=row.priority,
        age=row.number,
        least=row.least,
        wish=row.wish,
        able=frozenset(node.name for node in usable if _fits(row.document, node.report)),
        held=tuple(held),
        begun=row.state != "waiting",
        urgent=row.urgent,
    )


def _fits(document: dict[str, Any], report: dict[str, Any]) -> bool:
    """Whether a node is as the service wants it, as far as it has told."""
    devices, data = document["devices"], document["data"]
    asked = {
        "memory_bytes": devices["memory_bytes"],
        "peak_flops": devices["peak_flops"],
        "samples": data["least_samples"],
    }
    for name, least in asked.items():
        told = report.get(name)
        if least is not None and told is not None and told < least:
            return False
    labels = report.get("labels")
    return not data["labels"] or labels is None or any(labels.get(str(label)) for label in data["labels"])
