"""Services as routes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Response

from snakegym.training.cluster.api.bodies import Limit, Offset, ServiceName, strictly
from snakegym.training.cluster.provider.provider import PAGE, ServiceProvider
from snakegym.training.cluster.provider.records import ServiceRecord

DESCRIPTION = {
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ServiceDescription"}}}
}


def service_routes(provider: ServiceProvider) -> APIRouter:
    """Register, look at and deregister services."""
    routes = APIRouter(prefix="/services", tags=["services"])

    @routes.post(
        "",
        status_code=201,
        dependencies=[Depends(strictly)],
        openapi_extra={"requestBody": {**DESCRIPTION, "required": True}},
    )
    def register(document: Annotated[dict[str, Any], Body()], response: Response) -> ServiceRecord:
        """Register a service; a scenario's fields alone are a service of the scenario's name."""
        record = provider.register(document)
        response.headers["location"] = f"/services/{record.name}"
        return record

    @routes.get("")
    def services(limit: Limit = PAGE, offset: Offset = 0) -> list[ServiceRecord]:
        """By name."""
        return provider.services(limit, offset)

    @routes.get("/{name}")
    def service(name: ServiceName) -> ServiceRecord:
        """One of them."""
        return provider.service(name)

    @routes.delete("/{name}", status_code=204)
    def deregister(name: ServiceName) -> None:
        """Forget a service that no process uses."""
        provider.deregister(name)

    return routes
