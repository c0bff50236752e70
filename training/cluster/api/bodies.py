"""What requests may hold."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from snakegym.documents import parse_json
from snakegym.training.cluster.description import Name
from snakegym.training.cluster.hosting import NodeReport
from snakegym.training.cluster.registry.tokens import Scope

NODE = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
ServiceName = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=64)]
ProcessId = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=80)]
OperationId = Annotated[str, Path(pattern=r"^[a-z0-9]+$", max_length=64)]
NodeName = Annotated[str, Path(pattern=NODE, max_length=64)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Offset = Annotated[int, Query(ge=0, le=10**9)]
ServiceFilter = Annotated[str | None, Query(pattern=r"^[a-z0-9-]+$", max_length=80)]
Since = Annotated[int, Query(ge=0, le=10**12)]
_Size = Annotated[float, Field(ge=0, le=1e18, allow_inf_nan=False)]
_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


async def strictly(request: Request) -> None:
    """Refuse what JSON leaves open: a name given twice, NaN. Raises SnakegymError."""
    if body := await request.body():
        parse_json(body, "the body")


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)


class ProcessRequest(_Body):
    """A process that is asked for."""

    service: Name
    """Of which it is."""
    scheduler: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Who decides; null: as the service says, as for all of these."""
    shadow: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Whose choices are noted beside."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    """Of network, data and initial model; null: drawn from the service's."""
    priority: Annotated[int, Field(ge=0, le=9)] | None = None
    """9 is the highest."""


class Move(_Body):
    """Where a process is to go."""

    machine: Annotated[str, Field(pattern=r"^[!-~]+$", max_length=200)] | None = None
    """null: wherever the host likes."""


class Permission(_Body):
    """Whether a node may be leased."""

    authorised: bool


class NodeState(_Body):
    """What a node tells of itself; null: not told."""

    slots: Annotated[int, Field(ge=1, le=1000)] = 1
    """Processes that it serves at a time."""
    memory_bytes: _Size | None = None
    peak_flops: _Size | None = None
    samples: Annotated[int, Field(ge=0, le=10**12)] | None = None
    labels: Annotated[
        dict[Annotated[str, Field(max_length=20)], Annotated[int, Field(ge=0, le=10**12)]] | None,
        Field(max_length=10_000),
    ] = None
    """Samples of each label."""
    availability: _Share | None = None
    uplink_bps: _Size | None = None
    downlink_bps: _Size | None = None
    battery: _Share | None = None

    def report(self, name: str) -> NodeReport:
        """As the provider takes it."""
        told = self.model_dump(exclude={"name"})
        return NodeReport(name, **told)


class NewNode(NodeState):
    """A node that offers itself."""

    name: Annotated[str, Field(pattern=NODE, max_length=64)]


class NewToken(_Body):
    """A token that is asked for."""

    name: Annotated[str, Field(pattern=NODE, max_length=64)]
    scope: Scope
    days: Annotated[float, Field(gt=0, le=36500)] | None = None
    """After which it expires; null: never."""


class TokenRecord(BaseModel):
    """Who has a token."""

    name: str
    scope: Scope
    expires: float | None
    """Seconds since 1970; null: never."""


class IssuedToken(TokenRecord):
    """The only time that the token itself is told."""

    token: str
