"""The steward of a provider: carries out what the registry says, and writes down what happens.

It alone talks to the host. Each round looks at all of it anew, so a round that fails, or a provider that is
killed in the middle of one, leaves nothing that the next would not put right.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from snakegym.errors import SnakegymError
from snakegym.training.cluster.hosting import Order, ProcessHost
from snakegym.training.cluster.provider.following import follow, over
from snakegym.training.cluster.provider.leasing import Leasing
from snakegym.training.cluster.provider.nodes import Nodes
from snakegym.training.cluster.provider.provider import described, leased
from snakegym.training.cluster.provider.records import OVER
from snakegym.training.cluster.registry.store import Registry
from snakegym.training.cluster.registry.tables import Operation, Process

ROUND_S = 0.1
"""Between two rounds."""
NODES_S = 1.0
"""Between two looks at the nodes."""
TRIES = 20
"""In a row that the host may fail for a process, before the process has failed."""
log = logging.getLogger(__name__)


class Steward:
    """Runs the processes of a registry on a host.

    Args:
        registry: of the provider.
        host: is used by this thread alone.
        now: seconds since 1970.
    """

    def __init__(self, registry: Registry, host: ProcessHost, now: Callable[[], float] = time.time) -> None:
        self._registry, self._host, self._now = registry, host, now
        self._nodes, self._leasing = Nodes(registry, now), Leasing(registry, now)
        self._nodes_seen = float("-inf")
        self._known: set[str] = set()
        self._leases: dict[str, tuple[str, ...]] = {}
        self._troubles: Counter[str] = Counter()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Work in a thread of its own until `end`."""
        with self._registry.writing() as session:  # the host of a new program knows of nothing
            for row in session.scalars(select(Operation).where(Operation.state == "PROCESSING")):
                row.told = False
        self.round()
        self._thread = threading.Thread(target=self._work, name="steward", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop after the round under way, and let the host leave."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._host.close()

    def round(self) -> None:
        """Look at nodes, operations, processes and leases once."""
        now = time.monotonic()
        look = now - self._nodes_seen >= NODES_S
        if look:
            self._nodes.hear_of(self._host.nodes())
            self._nodes_seen = now
        with self._registry.reading() as session:
            rows = session.scalars(select(Process).where(Process.state.not_in(OVER))).all()
            open_ones = session.scalars(select(Operation).where(Operation.state == "PROCESSING")).all()
            nodes = leased(session, [row.id for row in rows])
        for row in rows:
            if row.state != "waiting":
                asked = [one for one in open_ones if one.process == row.id]
                self._try(row, tuple(nodes[row.id]), asked)
        # Who wants nodes is looked after at once, what became of the others' nodes now and then.
        if look or any(len(nodes[row.id]) < row.wish for row in rows):
            self._leasing.look()

    def _work(self) -> None:
        while not self._stop.wait(ROUND_S):
            try:
                self.round()
            except Exception:  # of a database that is away for a while, say
                log.exception("a round of the steward failed")
                self._stop.wait(NODES_S)

    def _try(self, row: Process, nodes: tuple[str, ...], asked: Sequence[Operation]) -> None:
        """Attend to a process; what is wrong with one is not to hold up the others."""
        try:
            self._attend(row, nodes, asked)
            self._troubles[row.id] = 0
        except SQLAlchemyError:
            raise
        except Exception as error:
            self._troubles[row.id] += 1
            log.exception("the host failed for process %s", row.id)
            if isinstance(error, SnakegymError) or self._troubles[row.id] >= TRIES:
                reason = f"{'' if isinstance(error, SnakegymError) else f'{type(error).__name__}: '}{error}"
                with self._registry.writing() as session:
                    over(session, session.get_one(Process, row.number), "failed", reason, self._now())

    def _attend(self, row: Process, nodes: tuple[str, ...], asked: Sequence[Operation]) -> None:
        """Start a process if the host does not know it, tell the host what was asked for, and follow it."""
        if row.id not in self._known:
            # Ids are never used twice: what there is of it is its own.
            self._host.start(Order(row.id, described(row), nodes, resume=True))
            self._known.add(row.id)
            self._leases[row.id] = nodes
        for one in asked:
            if one.told or one.kind == "start":
                continue
            if one.kind == "stop":
                self._host.stop(row.id)
            else:
                self._host.migrate(row.id, one.machine)
            with self._registry.writing() as session:
                session.get_one(Operation, one.number).told = True
        if self._leases[row.id] != nodes:
            self._host.lease(row.id, nodes)
            self._leases[row.id] = nodes
        self._follow(row)

    def _follow(self, row: Process) -> None:
        """Write down what happened since, if anything did."""
        events = self._host.events(row.id, row.heard)
        if not events:
            return
        status = self._host.status(row.id)
        with self._registry.writing() as session:
            kept = session.get_one(Process, row.number)  # others may have written to it
            kept.machine, kept.snapshot = status.machine, status.snapshot
            follow(session, kept, events, self._now())
