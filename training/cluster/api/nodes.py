"""Nodes as routes."""

from __future__ import annotations

from contextlib import suppress

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from snakegym.training.cluster.api.bodies import (
    Limit,
    NewNode,
    NodeName,
    NodeState,
    Offset,
    Permission,
    strictly,
)
from snakegym.training.cluster.hosting import Joining
from snakegym.training.cluster.provider.errors import ConflictError, MissingError
from snakegym.training.cluster.provider.nodes import Nodes
from snakegym.training.cluster.provider.provider import PAGE
from snakegym.training.cluster.provider.records import NodeRecord

STRICT = [Depends(strictly)]


class JoiningRecord(BaseModel):
    """How a node joins the cluster."""

    address: str
    token: str


def node_routes(nodes: Nodes, joining: Joining | None) -> APIRouter:
    """Register, authorise, hear of and remove nodes, and let them join the host's cluster, if it has one."""
    routes = APIRouter(prefix="/nodes", tags=["nodes"])

    @routes.post("", status_code=201, dependencies=STRICT)
    def register(node: NewNode, request: Request, response: Response) -> NodeRecord:
        """Offer a node. One that comes with a token of scope `node` waits to be authorised."""
        record = nodes.register(node.report(node.name), authorised=request.state.bearer.scope == "all")
        response.headers["location"] = f"/nodes/{record.name}"
        return record

    @routes.get("")
    def listing(limit: Limit = PAGE, offset: Offset = 0, hosted: bool | None = None) -> list[NodeRecord]:
        """By name."""
        return nodes.listing(limit, offset, hosted)

    @routes.get("/{name}")
    def one(name: NodeName) -> NodeRecord:
        """One of them."""
        return nodes.one(name)

    @routes.post("/{name}/join")
    def join(name: NodeName, request: Request) -> JoiningRecord:
        """Join the cluster under that name: what `snakegym node` asks for.

        Who has joined can run anything on the cluster: a token of scope `node` is good for a name that is
        registered, and that somebody has authorised.
        """
        if joining is None:
            raise ConflictError("the nodes of this provider are simulated: serve --ray lets others join")
        _check_may_join(nodes, name, bound=request.state.bearer.scope == "node")
        return JoiningRecord(address=joining.address, token=joining.token)

    @routes.put("/{name}", dependencies=STRICT)
    def hear(name: NodeName, state: NodeState) -> NodeRecord:
        """It lives, and has this to tell; to be repeated every second or two."""
        return nodes.hear(state.report(name))

    @routes.patch("/{name}", dependencies=STRICT)
    def authorise(name: NodeName, permission: Permission) -> NodeRecord:
        """Allow it to be leased, or no longer."""
        return nodes.authorise(name, permission.authorised)

    @routes.delete("/{name}", status_code=204)
    def remove(name: NodeName) -> None:
        """Forget a node that serves nobody."""
        nodes.remove(name)

    return routes


def _check_may_join(nodes: Nodes, name: str, *, bound: bool) -> None:
    """Whether a node may join under that name; bound: by a token that is good for nodes alone.

    Raises ConflictError if not.
    """
    known = None
    with suppress(MissingError):
        known = nodes.one(name)
    if known is not None and known.alive and (known.hosted or not bound):
        raise ConflictError(f"node '{name}': is there already, expected a name of its own")
    if bound and (known is None or not known.authorised):
        raise ConflictError(f"node '{name}': is not authorised, expected PATCH /nodes/{name} before")
