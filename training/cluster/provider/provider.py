"""What can be asked of a Service Provider; what takes time is written down and done by its steward."""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from snakegym.training.cluster.description import ServiceDescription, check_service, describe
from snakegym.training.cluster.provider.errors import ConflictError, MissingError
from snakegym.training.cluster.provider.following import close, open_of
from snakegym.training.cluster.provider.records import (
    OVER,
    OperationRecord,
    ProcessDetail,
    ProcessRecord,
    ServiceRecord,
)
from snakegym.training.cluster.registry.store import Registry
from snakegym.training.cluster.registry.tables import Event, Lease, Node, Operation, Process, Service
from snakegym.training.runs.seeding import derive_seed

PAGE = 100
"""Records in an answer, if nobody says how many."""


class ServiceProvider:
    """Services, processes and operations of one registry.

    Nothing here waits for a process: what is asked for is in the registry when a method returns, and
    `snakegym.training.cluster.provider.steward.Steward` carries it out. So nothing is lost by a restart.

    Args:
        registry: may be used by a steward at the same time.
        trusted: whether services may name code and files of this machine.
        now: seconds since 1970.
    """

    def __init__(
        self, registry: Registry, trusted: bool = False, now: Callable[[], float] = time.time
    ) -> None:
        self._registry, self._trusted, self._now = registry, trusted, now

    def register(self, document: Any) -> ServiceRecord:
        """Add a service. Raises ConflictError for a name that is taken, SnakegymError for a wrong field."""
        service = describe(document)
        taken = ConflictError(f"service '{service.name}': is registered already")
        with self._registry.reading() as session:
            if session.get(Service, service.name) is not None:
                raise taken
        check_service(service, self._trusted)
        row = Service(name=service.name, document=service.model_dump(), created=self._now())
        try:
            with self._registry.writing() as session:
                session.add(row)
        except IntegrityError:
            raise taken from None
        return ServiceRecord.of(row, ())

    def deregister(self, name: str) -> None:
        """Forget a service; its processes that are over stay. Raises MissingError; ConflictError in use."""
        with self._registry.writing() as session:
            row = _service(session, name)
            if running := _running_of(session, name):
                raise ConflictError(f"service '{name}': in use by {', '.join(running[:3])}")
            session.delete(row)

    def services(self, limit: int = PAGE, offset: int = 0) -> list[ServiceRecord]:
        """By name."""
        with self._registry.reading() as session:
            rows = session.scalars(select(Service).order_by(Service.name).limit(limit).offset(offset))
            return [ServiceRecord.of(row, _running_of(session, row.name)) for row in rows]

    def service(self, name: str) -> ServiceRecord:
        """Raises MissingError."""
        with self._registry.reading() as session:
            return ServiceRecord.of(_service(session, name), _running_of(session, name))

    def start(
        self,
        service: str,
        scheduler: str | None = None,
        shadow: str | None = None,
        seed: int | None = None,
        priority: int | None = None,
    ) -> OperationRecord:
        """Ask for a process of a service.

        Args:
            service: its name.
            scheduler: who decides; default: as the service says, as for all of these.
            shadow: whose choices are noted beside.
            seed: default: one that is drawn from the service's and from how many processes it had.
            priority: in [0, 9].

        Raises:
            MissingError: no such service.
            ConflictError: it wants more nodes than there are.
            SnakegymError: another scheduler than the service's is none.
        """
        with self._registry.reading() as session:
            row = _service(session, service)
        wishes = {"scheduler": scheduler, "shadow": shadow, "seed": seed}
        document = row.document | {name: wish for name, wish in wishes.items() if wish is not None}
        if priority is not None:
            document["sla"] = row.document["sla"] | {"priority": priority}
        described = describe(document)
        if (scheduler, shadow, priority) != (None, None, None):
            check_service(described, self._trusted)
        least, start, most = described.seats(described.plan())
        with self._registry.writing() as session:
            row = _service(session, service)
            nodes = session.scalar(select(func.count()).select_from(Node).where(Node.authorised)) or 0
            if least > nodes:
                raise ConflictError(
                    f"service '{service}': wants {least} nodes at least, found {nodes} that are authorised"
                )
            row.started += 1
            if seed is None:
                document["seed"] = derive_seed(described.seed, "process", row.started)
            process = Process(
                id=f"{service}-{uuid.uuid4().hex[:8]}",
                service=service,
                document=document,
                state="waiting",
                reason="waits for nodes",
                priority=described.sla.priority,
                least=least,
                wish=start,
                most=most,
                created=self._now(),
            )
            session.add(process)
            session.flush()
            return OperationRecord.of(self._operation(session, "start", process))

    def stop(self, process: str) -> OperationRecord:
        """Ask for the end of a process. Raises MissingError; ConflictError where it is over, or ending."""
        with self._registry.writing() as session:
            row = _process(session, process)
            if row.state in (*OVER, "terminating"):
                raise ConflictError(f"process '{process}': is {row.state} already")
            operation = self._operation(session, "stop", row)
            if row.state == "waiting":
                row.state, row.ended, row.reason = "terminated", self._now(), "request"
                _end(session, row, self._now(), "stopped before it began")
            else:
                row.state = "terminating"
            return OperationRecord.of(operation)

    def migrate(self, process: str, machine: str | None = None) -> OperationRecord:
        """Ask for a move. Raises MissingError; ConflictError where it does not run, or moves already."""
        with self._registry.writing() as session:
            row = _process(session, process)
            if row.state != "running":
                raise ConflictError(f"process '{process}': is {row.state}, expected running")
            row.state = "migrating"
            return OperationRecord.of(self._operation(session, "migrate", row, machine))

    def processes(
        self, service: str | None = None, state: str | None = None, limit: int = PAGE, offset: int = 0
    ) -> list[ProcessRecord]:
        """The newest first."""
        query = select(Process).order_by(Process.number.desc()).limit(limit).offset(offset)
        if service is not None:
            query = query.where(Process.service == service)
        if state is not None:
            query = query.where(Process.state == state)
        with self._registry.reading() as session:
            rows = session.scalars(query).all()
            nodes = leased(session, (row.id for row in rows))
            return [ProcessRecord.of(row, nodes[row.id]) for row in rows]

    def process(self, process: str) -> ProcessDetail:
        """Raises MissingError."""
        with self._registry.reading() as session:
            row = _process(session, process)
            record = ProcessRecord.of(row, leased(session, [process])[process])
            return ProcessDetail(**record.model_dump(), snapshot=row.snapshot, document=row.document)

    def events(self, process: str, since: int = 0, limit: int = 1000) -> tuple[list[dict[str, Any]], bool]:
        """Those of a process with a higher number, and whether the process is over and these are the last."""
        query = (
            select(Event).where(Event.process == process, Event.number > since).order_by(Event.number)
        ).limit(limit)
        with self._registry.reading() as session:
            row = _process(session, process)
            over, last = row.state in OVER, row.told
            found = [
                {"number": e.number, "at": e.at, "kind": e.kind, **e.document} for e in session.scalars(query)
            ]
        return found, over and (found[-1]["number"] if found else since) >= last

    def operations(
        self, process: str | None = None, limit: int = PAGE, offset: int = 0
    ) -> list[OperationRecord]:
        """The newest first."""
        query = select(Operation).order_by(Operation.number.desc()).limit(limit).offset(offset)
        if process is not None:
            query = query.where(Operation.process == process)
        with self._registry.reading() as session:
            return [OperationRecord.of(row) for row in session.scalars(query)]

    def operation(self, operation: str) -> OperationRecord:
        """Raises MissingError."""
        with self._registry.reading() as session:
            row = session.scalar(select(Operation).where(Operation.id == operation))
            if row is None:
                raise MissingError(f"operation {operation!r:.80}: found none of that id")
            return OperationRecord.of(row)

    def _operation(
        self, session: Session, kind: str, process: Process, machine: str | None = None
    ) -> Operation:
        row = Operation(
            id=uuid.uuid4().hex,
            kind=kind,
            process=process.id,
            state="PROCESSING",
            machine=machine,
            created=self._now(),
        )
        session.add(row)
        session.flush()
        return row


def described(process: Process) -> ServiceDescription:
    """The service of a process, as it was when the process was asked for."""
    return describe(process.document)


def leased(session: Session, processes: Iterable[str]) -> dict[str, list[str]]:
    """The nodes of these processes, without those that are being given back."""
    query = select(Lease).where(Lease.process.in_([*processes]), Lease.releasing.is_(False))
    found: dict[str, list[str]] = defaultdict(list)
    for lease in session.scalars(query.order_by(Lease.since, Lease.node)):
        found[lease.process].append(lease.node)
    return found


def _end(session: Session, process: Process, now: float, why: str) -> None:
    """A process that never ran is over: what was asked for it has come to an end."""
    for operation in open_of(session, process):
        done = operation.kind == "stop"
        close(operation, "COMPLETED" if done else "FAILED", now, "" if done else why)


def _service(session: Session, name: str) -> Service:
    row = session.get(Service, name)
    if row is None:
        raise MissingError(f"service {name!r:.80}: found none of that name")
    return row


def _process(session: Session, process: str) -> Process:
    row = session.scalar(select(Process).where(Process.id == process))
    if row is None:
        raise MissingError(f"process {process!r:.80}: found none of that id")
    return row


def _running_of(session: Session, service: str) -> Sequence[str]:
    query = select(Process.id).where(Process.service == service, Process.state.not_in(OVER))
    return session.scalars(query.order_by(Process.number)).all()
