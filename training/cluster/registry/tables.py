"""The tables: services, processes, nodes, leases, operations, events, tokens.

Times are seconds since 1970. Documents are JSON. A process keeps a copy of its service, so that it goes on as
it began, whatever becomes of the service.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import JSON, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

VERSION: Final = "1"
"""Of this schema; another one is refused, never changed."""
Document = dict[str, Any]


class Base(DeclarativeBase):
    """All tables."""

    type_annotation_map = {Document: JSON, str: String(200)}  # noqa: RUF012


class Setting(Base):
    """What the registry knows of itself."""

    __tablename__ = "settings"
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class Service(Base):
    """A registered service."""

    __tablename__ = "services"
    name: Mapped[str] = mapped_column(primary_key=True)
    document: Mapped[Document]
    created: Mapped[float]
    started: Mapped[int] = mapped_column(default=0)
    """Processes so far."""


class Process(Base):
    """A training process, whatever its state."""

    __tablename__ = "processes"
    number: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    service: Mapped[str] = mapped_column(index=True)
    document: Mapped[Document]
    """Of the service, with this process's scheduler, shadow and seed."""
    state: Mapped[str] = mapped_column(index=True)
    """See `snakegym.training.cluster.provider.records.ProcessState`."""
    reason: Mapped[str] = mapped_column(String(1000), default="")
    """Why it waits, ended or failed."""
    machine: Mapped[str] = mapped_column(default="")
    priority: Mapped[int]
    least: Mapped[int]
    """Nodes that it begins with, at least."""
    wish: Mapped[int]
    """Nodes that it is to have now."""
    most: Mapped[int]
    urgent: Mapped[bool] = mapped_column(default=False)
    """Whether others' nodes may be taken for its wish: a promise is broken, or at risk."""
    created: Mapped[float]
    started: Mapped[float | None]
    ended: Mapped[float | None]
    heard: Mapped[int] = mapped_column(default=0)
    """Number of the host's last event that is here."""
    told: Mapped[int] = mapped_column(default=0)
    """Number of the last event."""
    promises: Mapped[Document] = mapped_column(default=dict)
    """State of each promise that is not kept."""
    snapshot: Mapped[Document] = mapped_column(default=dict)


class Node(Base):
    """A node that registered, or that the host has."""

    __tablename__ = "nodes"
    name: Mapped[str] = mapped_column(primary_key=True)
    authorised: Mapped[bool]
    hosted: Mapped[bool] = mapped_column(default=False)
    """Whether the host can use it."""
    alive: Mapped[bool] = mapped_column(default=True)
    slots: Mapped[int] = mapped_column(default=1)
    report: Mapped[Document] = mapped_column(default=dict)
    created: Mapped[float]
    seen: Mapped[float] = mapped_column(index=True)


class Lease(Base):
    """A node in the service of a process."""

    __tablename__ = "leases"
    process: Mapped[str] = mapped_column(ForeignKey("processes.id"), primary_key=True)
    node: Mapped[str] = mapped_column(ForeignKey("nodes.name"), primary_key=True, index=True)
    releasing: Mapped[bool] = mapped_column(default=False)
    """Taken away; busy until the host says that it is free."""
    since: Mapped[float]


class Operation(Base):
    """What somebody asked for, and what became of it."""

    __tablename__ = "operations"
    number: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    process: Mapped[str] = mapped_column(ForeignKey("processes.id"), index=True)
    state: Mapped[str] = mapped_column(index=True)
    detail: Mapped[str] = mapped_column(String(1000), default="")
    machine: Mapped[str | None]
    told: Mapped[bool] = mapped_column(default=False)
    """Whether the host knows of it."""
    created: Mapped[float]
    ended: Mapped[float | None]


class Event(Base):
    """What happened in a process."""

    __tablename__ = "events"
    process: Mapped[str] = mapped_column(ForeignKey("processes.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[float]
    kind: Mapped[str]
    document: Mapped[Document]


class Token(Base):
    """Who may come in; of the token itself the SHA-256 alone is kept."""

    __tablename__ = "tokens"
    __table_args__ = (UniqueConstraint("digest"), Index("ix_tokens_digest", "digest"))
    name: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str]
    scope: Mapped[str]
    created: Mapped[float]
    expires: Mapped[float | None]
