"""Leases of a registry, as priorities, loads and what lives are now."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from snakegym.training.cluster.provider.allocation import Demand, Offer, Plan, allocate
from snakegym.training.cluster.provider.following import note
from snakegym.training.cluster.provider.records import OVER
from snakegym.training.cluster.registry.store import Registry
from snakegym.training.cluster.registry.tables import Lease, Node, Process


class Leasing:
    """Gives nodes to processes, and takes them.

    Args:
        registry: of the provider.
        now: seconds since 1970.
    """

    def __init__(self, registry: Registry, now: Callable[[], float]) -> None:
        self._registry, self._now = registry, now

    def look(self) -> None:
        """Take what died or may not be used any longer from whoever has it, then give out what is there."""
        with self._registry.reading() as session:
            rows = session.scalars(select(Process).where(Process.state.not_in((*OVER, "terminating")))).all()
            nodes = session.scalars(select(Node).where(Node.hosted)).all()
            leases = session.scalars(select(Lease)).all()
        usable = {node.name: node for node in nodes if node.alive and node.authorised}
        lost = [lease for lease in leases if lease.node not in usable]
        kept = [lease for lease in leases if lease.node in usable]
        held: dict[str, list[str]] = defaultdict(list)
        for lease in kept:
            if not lease.releasing:
                held[lease.process].append(lease.node)
        busy = Counter(lease.node for lease in kept)
        coming = Counter(lease.node for lease in kept if lease.releasing)
        demands = [_demand(row, [*usable.values()], held[row.id]) for row in rows]
        offers = [Offer(n.name, n.slots, busy[n.name], coming[n.name]) for n in usable.values()]
        plan = allocate(demands, offers)
        reasons = {d.process: _why(d) for d in demands if not d.begun and d.process not in plan.grants}
        news = [row for row in rows if reasons.get(row.id, row.reason) != row.reason]
        if lost or news or plan.grants or plan.takes:
            with self._registry.writing() as session:
                for lease in lost:
                    self._lose(session, lease)
                self._carry_out(session, plan)
                for row in news:
                    session.get_one(Process, row.number).reason = reasons[row.id]

    def _lose(self, session: Session, lease: Lease) -> None:
        """A node is gone from a process: it need not give anything back."""
        process = session.scalar(select(Process).where(Process.id == lease.process))
        gone = session.get(Lease, (lease.process, lease.node))
        if process is None or gone is None:
            return
        session.delete(gone)
        if not gone.releasing:
            note(session, process, "lost", self._now(), {"node": lease.node})

    def _carry_out(self, session: Session, plan: Plan) -> None:
        for name, nodes in plan.takes.items():
            for node in nodes:
                lease = session.get(Lease, (name, node))
                if lease is not None:
                    lease.releasing = True
        for name, nodes in plan.grants.items():
            process = session.scalar(select(Process).where(Process.id == name))
            if process is None or process.state in (*OVER, "terminating"):
                continue
            for node in nodes:
                session.merge(Lease(process=name, node=node, releasing=False, since=self._now()))
            if process.state == "waiting":
                process.state, process.reason = "instantiating", ""


def _why(demand: Demand) -> str:
    """Why a process waits."""
    able = len(demand.able)
    least = f"waits for {demand.least} nodes"
    return f"{least}: {able} are as it wants them" if able < demand.least else f"{least}: others have them"


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
