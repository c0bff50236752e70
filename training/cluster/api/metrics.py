"""What Prometheus may ask for."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from snakegym.training.cluster.provider.nodes import Nodes
from snakegym.training.cluster.provider.provider import ServiceProvider
from snakegym.training.cluster.provider.records import OVER
from snakegym.training.cluster.registry.store import Registry
from snakegym.training.cluster.registry.tables import Process

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
SHOWN = 200
"""Processes that are not over, each with its own numbers."""


class Statistics:
    """Counts requests, and looks at the registry when it is asked.

    Args:
        registry: whose processes and nodes are counted.
    """

    def __init__(self, registry: Registry) -> None:
        self._all = CollectorRegistry()
        self._requests = Counter(
            "snakegym_http_requests", "Requests answered", ("method", "route", "status"), registry=self._all
        )
        self._seconds = Histogram(
            "snakegym_http_seconds", "Time until answered, s", ("route",), registry=self._all
        )
        self._all.register(_Looks(registry))

    def heard(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        known = method if method in METHODS else "other"
        self._requests.labels(known, route, str(status)).inc()
        if not route.endswith("/events"):
            self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """In the text format."""
        return generate_latest(self._all)


class _Looks(Collector):
    """Reads the registry at each scrape."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._provider, self._nodes = ServiceProvider(registry), Nodes(registry)

    def describe(self) -> Iterator[Metric]:
        """Nothing beforehand: no table is read on registration."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Processes by state, nodes, and the numbers of processes that are not over."""
        states = GaugeMetricFamily("snakegym_processes", "Processes by state", labels=["state"])
        with self._registry.reading() as session:
            counted = session.execute(select(Process.state, func.count()).group_by(Process.state)).all()
        for state, n in counted:
            states.add_metric([state], n)
        yield states
        nodes = GaugeMetricFamily("snakegym_nodes", "Nodes: registered, alive, leased", labels=["are"])
        for kind, n in self._nodes.counts().items():
            nodes.add_metric([kind], n)
        yield nodes
        yield from self._of_processes()

    def _of_processes(self) -> Iterator[Metric]:
        running = [p for p in self._provider.processes(limit=SHOWN) if p.state not in OVER]
        for name, text in (
            ("metric", "Validation accuracy, of texts the score"),
            ("hops", "Hops so far"),
            ("clock_s", "Time on the process's clock, s"),
            ("energy_j", "Energy so far, J"),
            ("n_bytes", "Bytes so far"),
        ):
            family = GaugeMetricFamily(f"snakegym_process_{name}", text, labels=["process", "service"])
            for process in running:
                value = getattr(process, name)
                if value is not None:
                    family.add_metric([process.id, process.service], value)
            yield family
