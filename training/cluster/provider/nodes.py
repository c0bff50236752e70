"""The nodes of a registry: registered, heard of, authorised, leased."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from snakegym.training.cluster.hosting import NodeReport
from snakegym.training.cluster.provider.errors import ConflictError, MissingError
from snakegym.training.cluster.provider.provider import PAGE
from snakegym.training.cluster.provider.records import NodeRecord
from snakegym.training.cluster.registry.store import Registry
from snakegym.training.cluster.registry.tables import Lease, Node

SILENCE_S = 5.0
"""After which a node that was not heard of is taken for dead."""


class Nodes:
    """The nodes that registered themselves, and those that the host has.

    Args:
        registry: where they are.
        now: seconds since 1970.
    """

    def __init__(self, registry: Registry, now: Callable[[], float] = time.time) -> None:
        self._registry, self._now = registry, now

    def register(self, report: NodeReport, authorised: bool) -> NodeRecord:
        """Add a node. Raises ConflictError for a name that is taken."""
        now = self._now()
        row = Node(name=report.name, authorised=authorised, created=now, seen=now)
        _write(row, report)
        try:
            with self._registry.writing() as session:
                session.add(row)
        except IntegrityError:
            raise ConflictError(f"node '{report.name}': is registered already") from None
        return NodeRecord.of(row, ())

    def hear(self, report: NodeReport) -> NodeRecord:
        """It lives, and has this to tell. Raises MissingError."""
        with self._registry.writing() as session:
            row = _node(session, report.name)
            _write(row, report)
            row.alive, row.seen = True, self._now()
            return NodeRecord.of(row, _served(session, [row.name])[row.name])

    def authorise(self, name: str, authorised: bool) -> NodeRecord:
        """Whether it may be leased; from those that have it, it is taken. Raises MissingError."""
        with self._registry.writing() as session:
            row = _node(session, name)
            row.authorised = authorised
            return NodeRecord.of(row, _served(session, [name])[name])

    def remove(self, name: str) -> None:
        """Forget a node. Raises MissingError; ConflictError where it serves a process, or is the host's."""
        with self._registry.writing() as session:
            row = _node(session, name)
            if serves := _served(session, [name], releasing=True)[name]:
                raise ConflictError(f"node '{name}': in use by {', '.join(serves)}")
            if row.hosted:
                raise ConflictError(
                    f"node '{name}': the host has it, expected one that has gone; or authorise it not"
                )
            session.delete(row)

    def listing(self, limit: int = PAGE, offset: int = 0, hosted: bool | None = None) -> list[NodeRecord]:
        """By name."""
        query = select(Node).order_by(Node.name).limit(limit).offset(offset)
        if hosted is not None:
            query = query.where(Node.hosted.is_(hosted))
        with self._registry.reading() as session:
            rows = session.scalars(query).all()
            serves = _served(session, [row.name for row in rows])
            return [NodeRecord.of(row, serves[row.name]) for row in rows]

    def one(self, name: str) -> NodeRecord:
        """Raises MissingError."""
        with self._registry.reading() as session:
            row = _node(session, name)
            return NodeRecord.of(row, _served(session, [name])[name])

    def counts(self) -> dict[str, int]:
        """How many there are, live, and are leased."""
        with self._registry.reading() as session:
            return {
                "registered": session.scalar(select(func.count()).select_from(Node)) or 0,
                "alive": session.scalar(select(func.count()).select_from(Node).where(Node.alive)) or 0,
                "leased": session.scalar(select(func.count(Lease.node.distinct()))) or 0,
            }

    def hear_of(self, reports: Sequence[NodeReport]) -> None:
        """What the host says of its nodes; those that it has no more are not hosted any longer.

        Nodes that were not heard of for `SILENCE_S` are dead. New ones of the host are authorised.
        """
        now, told = self._now(), {report.name: report for report in reports}
        with self._registry.writing() as session:
            known = {row.name: row for row in session.scalars(select(Node).where(Node.hosted))}
            new = [name for name in told if name not in known]
            known |= {row.name: row for row in session.scalars(select(Node).where(Node.name.in_(new)))}
            for name, report in told.items():
                row = known.get(name)
                if row is None:
                    row = known[name] = Node(name=name, authorised=True, created=now, seen=now)
                    session.add(row)
                _write(row, report)
                row.hosted, row.alive = True, report.alive
                row.seen = now if report.alive else row.seen
            for name, row in known.items():
                if name not in told:
                    row.hosted = row.alive = False
            silent = select(Node).where(Node.alive, Node.hosted.is_(False), Node.seen < now - SILENCE_S)
            for row in session.scalars(silent):
                row.alive = False


def _write(row: Node, report: NodeReport) -> None:
    document = asdict(report)
    for name in ("name", "alive", "slots"):
        del document[name]
    row.slots = report.slots
    if row.report != document:
        row.report = document


def _node(session: Session, name: str) -> Node:
    row = session.get(Node, name)
    if row is None:
        raise MissingError(f"node {name!r:.80}: found none of that name")
    return row


def _served(session: Session, names: Sequence[str], releasing: bool = False) -> dict[str, list[str]]:
    """The processes that these nodes serve; with those that are being left, if asked for."""
    query = select(Lease).where(Lease.node.in_(names))
    if not releasing:
        query = query.where(Lease.releasing.is_(False))
    found: dict[str, list[str]] = defaultdict(list)
    for lease in session.scalars(query.order_by(Lease.since)):
        found[lease.node].append(lease.process)
    return found
