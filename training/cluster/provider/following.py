"""What a process's events mean to the registry: states, operations, leases and promises follow them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from snakegym.training.cluster.description import Sla
from snakegym.training.cluster.hosting import Event as HostEvent
from snakegym.training.cluster.provider.promises import Progress, broken
from snakegym.training.cluster.provider.records import OVER, ProcessState
from snakegym.training.cluster.registry.tables import Event, Lease, Operation, Process


def follow(session: Session, process: Process, events: Sequence[HostEvent], now: float) -> None:
    """Write down what the host told, and what follows of it."""
    for told in events:
        if told["number"] <= process.heard or process.state in OVER:
            continue
        document = {key: value for key, value in told.items() if key not in ("number", "at", "kind")}
        note(session, process, told["kind"], told["at"], document)
        process.heard = told["number"]
        _react(session, process, told["kind"], document, now)


def note(session: Session, process: Process, kind: str, at: float, document: dict[str, Any]) -> None:
    """Add an event to a process."""
    process.told += 1
    session.add(Event(process=process.id, number=process.told, at=at, kind=kind, document=document))


def over(session: Session, process: Process, state: ProcessState, reason: str, now: float) -> None:
    """A process has ended: its nodes are free, and what was asked for it is done or has failed."""
    process.state, process.reason, process.ended = state, reason[:1000], now
    for lease in session.scalars(select(Lease).where(Lease.process == process.id)):
        session.delete(lease)
    for operation in open_of(session, process):
        kept = state == "terminated" and operation.kind in ("stop", "start")
        close(
            operation,
            "COMPLETED" if kept else "FAILED",
            now,
            "" if kept else f"the process {state}: {reason}",
        )


def open_of(session: Session, process: Process) -> Sequence[Operation]:
    """What was asked for a process and is not done."""
    query = select(Operation).where(Operation.process == process.id, Operation.state == "PROCESSING")
    return session.scalars(query).all()


def close(operation: Operation, state: str, now: float, detail: str = "") -> None:
    """An operation is done, or has failed."""
    operation.state, operation.ended, operation.detail = state, now, detail[:1000]


def _react(session: Session, process: Process, kind: str, document: dict[str, Any], now: float) -> None:
    if kind in ("started", "resumed"):
        process.started = process.started or now
        for operation in open_of(session, process):
            if operation.kind == "start" or (operation.kind == "migrate" and operation.told):
                close(operation, "COMPLETED", now)
        if process.state in ("instantiating", "migrating"):
            process.state = "running"
    elif kind == "released":
        for node in document["nodes"]:
            lease = session.get(Lease, (process.id, node))
            if lease is not None and lease.releasing:
                session.delete(lease)
    elif kind == "failed":
        over(session, process, "failed", document["reason"], now)
    elif kind in ("hop", "waited", "ended"):
        _watch(session, process, document, now, kind == "ended")
        if kind == "ended":
            over(session, process, "terminated", document["reason"], now)


def _watch(session: Session, process: Process, document: dict[str, Any], now: float, ended: bool) -> None:
    """Tell of promises that are broken now and were not before; more nodes are to help."""
    seen = process.snapshot | document
    begun = select(Event).where(Event.process == process.id, Event.kind == "started")
    first = session.scalar(begun.order_by(Event.number).limit(1))
    metric, clock_s = float(seen.get("metric", 0.0)), float(seen.get("clock_s", 0.0))
    initial = metric if first is None else float(first.document["metric"])
    sla = Sla.model_validate(process.document["sla"])
    found = {event["promise"]: event for event in broken(sla, Progress(clock_s, metric, initial, ended))}
    for promise, event in found.items():
        if process.promises.get(promise) != event["state"]:
            note(session, process, "sla", now, event)
    process.promises = {promise: event["state"] for promise, event in found.items()}
    process.urgent = bool(found) and not ended
    if process.urgent:
        process.wish = process.most
