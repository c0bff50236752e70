"""What a provider says of things: the shapes that its API publishes.

The words are those of CAMARA Edge Application Management (application, instance, status) and ETSI MEC 010-2
(operation, operation state), as far as they fit: a service is their application, a process its instance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from snakegym.training.cluster.registry import tables

ProcessState = Literal[
    "waiting", "instantiating", "running", "migrating", "terminating", "terminated", "failed"
]
OVER: tuple[ProcessState, ...] = ("terminated", "failed")
OperationState = Literal["PROCESSING", "COMPLETED", "FAILED"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class ServiceRecord(_Record):
    """A registered service."""

    name: str
    description: dict[str, Any]
    """As it was registered, with defaults."""
    created: float
    """Seconds since 1970."""
    processes: list[str]
    """Ids of its processes that are not over."""

    @classmethod
    def of(cls, row: tables.Service, processes: Sequence[str]) -> ServiceRecord:
        """That of a row."""
        return cls(name=row.name, description=row.document, created=row.created, processes=[*processes])


class ProcessRecord(_Record):
    """A training process."""

    id: str
    service: str
    state: ProcessState
    reason: str
    """Why it waits, ended or failed."""
    scheduler: str
    shadow: str | None
    seed: int
    priority: int
    machine: str
    """Where its Process Controller runs."""
    created: float
    started: float | None
    ended: float | None
    nodes: list[str]
    """Leased to it."""
    promises: dict[str, str]
    """Promises that are `broken` or `at risk`."""
    events: int
    """Number of the last event."""
    clock_s: float
    metric: float | None
    hops: int
    energy_j: float
    n_bytes: float

    @classmethod
    def of(cls, row: tables.Process, nodes: Sequence[str]) -> ProcessRecord:
        """That of a row."""
        seen, document = row.snapshot, row.document
        return cls.model_validate(
            dict(
                id=row.id,
                service=row.service,
                state=row.state,
                reason=row.reason,
                scheduler=document["scheduler"],
                shadow=document["shadow"],
                seed=document["seed"],
                priority=row.priority,
                machine=row.machine,
                created=row.created,
                started=row.started,
                ended=row.ended,
                nodes=[*nodes],
                promises=row.promises,
                events=row.told,
                clock_s=seen.get("clock_s", 0.0),
                metric=seen.get("metric"),
                hops=seen.get("hops", 0),
                energy_j=seen.get("energy_j", 0.0),
                n_bytes=seen.get("n_bytes", 0.0),
            )
        )


class ProcessDetail(ProcessRecord):
    """A training process, with what is seen of its network and layers."""

    snapshot: dict[str, Any]
    """See `snakegym.training.cluster.hosting.Status`."""
    document: dict[str, Any]
    """The service as it was when this process was asked for."""


class NodeRecord(_Record):
    """A node."""

    name: str
    authorised: bool
    hosted: bool
    """Whether what runs processes can use it."""
    alive: bool
    slots: int
    processes: list[str]
    """That it is leased to."""
    seen: float
    """When it was heard of last, seconds since 1970."""
    report: dict[str, Any]
    """What it told of itself; see `snakegym.training.cluster.hosting.NodeReport`."""

    @classmethod
    def of(cls, row: tables.Node, processes: Sequence[str]) -> NodeRecord:
        """That of a row."""
        return cls(
            name=row.name,
            authorised=row.authorised,
            hosted=row.hosted,
            alive=row.alive,
            slots=row.slots,
            processes=[*processes],
            seen=row.seen,
            report=row.report,
        )


class OperationRecord(_Record):
    """Something asked for that takes time."""

    id: str
    kind: Literal["start", "stop", "migrate"]
    process: str
    state: OperationState
    detail: str
    """Why it failed."""
    created: float
    ended: float | None

    @classmethod
    def of(cls, row: tables.Operation) -> OperationRecord:
        """That of a row."""
        return cls.model_validate(row, from_attributes=True)
