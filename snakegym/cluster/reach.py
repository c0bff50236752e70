"""How a controller reaches its nodes: the seam between what is said to a node and how it gets there."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from snakegym.cluster.node import Node
from snakegym.cluster.parcels import Parcel
from snakegym.cluster.statements import Report
from snakegym.control.records import Job
from snakegym.models.store import Need


class Reach(Protocol):
    """A node of a process, from where its controller is.

    Errors that the node raises come out of the futures; whoever waits for them has a deadline of its own.
    """

    def begin(self, job: Job, source: Reach | Parcel) -> tuple[Future[Report], Future[Parcel]]:
        """Have the job done, whose missing layers are with another node, or given.

        Returns:
            The report, and the layers that the PCE wants, which travel when they are asked for, or before.
        """
        ...

    def fetch(self, needs: tuple[Need, ...]) -> Future[Parcel]:
        """Have layers sent to the PCE."""
        ...

    def cut_short(self, job: int) -> None:
        """Have the training of that job end now, with what it has come to; nothing is waited for."""
        ...


class Near:
    """A node in this program.

    Args:
        node: itself.
        process: that it is reached for.
    """

    def __init__(self, node: Node, process: str) -> None:
        self.node, self.process = node, process
        self._pool = ThreadPoolExecutor(1, f"node-{node.means.name}")

    def begin(self, job: Job, source: Reach | Parcel) -> tuple[Future[Report], Future[Parcel]]:
        """As `Reach`; both are there together."""
        report, update = Future[Report](), Future[Parcel]()

        def run() -> None:
            try:
                found = self.node.hop(self.process, job, lambda: self._given(job, source))
            except BaseException as error:
                report.set_exception(error)
                update.set_exception(error)
            else:
                report.set_result(found[0])
                update.set_result(found[1])

        self._pool.submit(run)
        return report, update

    def fetch(self, needs: tuple[Need, ...]) -> Future[Parcel]:
        given: Future[Parcel] = Future()
        try:
            given.set_result(self.node.take(self.process, needs))
        except Exception as error:
            given.set_exception(error)
        return given

    def cut_short(self, job: int) -> None:
        self.node.cut_short(self.process, job)

    def _given(self, job: Job, source: Reach | Parcel) -> Parcel:
        return source if isinstance(source, Parcel) else source.fetch(job.needs).result()
