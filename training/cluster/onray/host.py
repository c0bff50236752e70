"""The host of a Ray cluster: nodes that have joined it, and a controller for each process."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
from ray import exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from snakegym.errors import SnakegymError
from snakegym.training.cluster.hosting import Event, NodeReport, Order, RunState, Status
from snakegym.training.cluster.local.attended import give_up
from snakegym.training.cluster.local.hosted import Hosted, folder_of
from snakegym.training.cluster.local.keeping import Log
from snakegym.training.cluster.onray.controller import ControllerActor, write_wishes
from snakegym.training.cluster.onray.directory import RayNodes
from snakegym.training.cluster.onray.head import Head
from snakegym.training.cluster.onray.node import admit, joined
from snakegym.training.cluster.onray.session import LOOPBACK
from snakegym.training.pool.cluster import connected
from snakegym.training.runs.folder import make_folder

LOOK_S = 1.0
"""Between two looks at who has joined."""
MEANS_S = 2.0
"""For a node to say what it is, before others are looked at."""
HEARD_S = 5.0
"""A node that was not heard of for longer is reported as dead."""
LEAVE_S = 60.0
"""For the hops under way, when all is closed."""


@dataclass
class _Run(Hosted):
    """A process and its controller; its deaths are those of the actor for good."""

    actor: Any = None
    over: Any = None
    """Reference to the answer when its controller has ended."""


class RayHost:
    """Runs processes on a Ray cluster. Fulfils `ProcessHost`; not to be shared by threads.

    Controllers run on this machine, where their folders are, and end with this program. Nodes are actors on
    the raylets that were started for them (`session.start_node`); they outlive it.

    Args:
        folder: holds a folder for each process.
        address: of the cluster, as `snakegym sweep --ray` takes it, or `start` for one of its own (`Head`).
        ip: that is bound to where it is started.

    Attributes:
        joining: what machines need to join.

    Raises:
        SnakegymError: there is no cluster.
    """

    def __init__(self, folder: Path, address: str, ip: str = LOOPBACK) -> None:
        self._folder = folder
        self._head = Head(folder.parent, address, ip)
        self.joining = self._head.joining
        self._runs: dict[str, _Run] = {}
        self._stack = ExitStack()
        self._stack.callback(self._head.end)
        self._stack.enter_context(connected(self.joining.address))
        self._nodes = RayNodes()
        self._reports: list[NodeReport] = []
        self._closed = threading.Event()
        self._look()
        self._watch = threading.Thread(target=self._watching, daemon=True, name="nodes")
        self._watch.start()

    def start(self, order: Order) -> None:
        """See `ProcessHost`. Raises SnakegymError for the id of a process that runs, or is there already."""
        known = self._runs.get(order.process)
        running = known is not None and self._state(known) not in ("ended", "failed")
        folder = folder_of(self._folder, order, running=running)
        make_folder(folder)
        write_wishes(folder, nodes=list(order.nodes), stop="", leave=False)
        run = self._runs[order.process] = _Run(order, folder, Log(folder))
        if not run.log.over:
            self._launch(run)

    def lease(self, process: str, nodes: Sequence[str]) -> None:
        write_wishes(self._runs[process].folder, nodes=list(nodes))

    def stop(self, process: str) -> None:
        write_wishes(self._runs[process].folder, stop="request")

    def migrate(self, process: str, machine: str | None = None) -> None:
        """See `ProcessHost`; here to another program of this machine, where the folder is."""
        run = self._runs[process]
        write_wishes(run.folder, moves=len(run.log) + 1)

    def status(self, process: str) -> Status:
        run = self._runs[process]
        return run.status(self._state(run))

    def events(self, process: str, since: int = 0) -> list[Event]:
        run = self._runs[process]
        self._state(run)
        return run.log.since(since)

    def nodes(self) -> list[NodeReport]:
        return list(self._reports)

    def close(self) -> None:
        self._closed.set()
        self._watch.join()
        live = [run for run in self._runs.values() if not run.log.over]
        for run in live:
            write_wishes(run.folder, leave=True)
        with suppress(exceptions.RayError):
            ray.wait([run.over for run in live], num_returns=len(live), timeout=LEAVE_S) if live else None
        for run in self._runs.values():
            with suppress(exceptions.RayError):
                ray.kill(run.actor)
        self._runs.clear()
        self._stack.close()

    def _launch(self, run: _Run) -> None:
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        made = ControllerActor.options(scheduling_strategy=here, max_concurrency=4)  # type: ignore[attr-defined, unused-ignore]
        order = run.order
        run.begins()
        run.actor = made.remote(order.process, order.service.model_dump(), str(run.folder.resolve()))
        run.over = run.actor.join.remote()

    def _state(self, run: _Run) -> RunState:
        """How a process stands; a controller whose actor is dead for good is replaced."""
        if run.log.over:
            return "ended" if run.log.over == "ended" else "failed"
        ready, _ = ray.wait([run.over], timeout=0)
        if ready:
            with suppress(exceptions.RayError):
                ray.get(run.over)
            if run.log.over:
                return "ended" if run.log.over == "ended" else "failed"
            if not self._mourn(run):
                return "failed"
            self._launch(run)
        return "running" if len(run.log) > run.told else "starting"

    def _mourn(self, run: _Run) -> bool:
        if run.dies():
            return True
        give_up(run.folder, f"its controller died {run.deaths} times for good without a hop between")
        return False

    def _watching(self) -> None:
        while not self._closed.wait(LOOK_S):
            with suppress(exceptions.RayError, SnakegymError, LookupError):
                self._look()

    def _look(self) -> None:
        """Begin who has joined, and see how all are."""
        for name in joined():
            admit(name)
        reports = []
        for name, (age, beat) in self._nodes.beats().items():
            try:
                means = self._nodes.means(name, MEANS_S)
            except (SnakegymError, LookupError):  # another time
                continue
            reports.append(
                NodeReport(
                    name,
                    alive=age < HEARD_S,
                    slots=means.slots,
                    memory_bytes=means.memory_bytes,
                    peak_flops=means.peak_flops,
                    availability=beat.availability,
                    battery=beat.battery,
                )
            )
        known = {report.name for report in reports}
        gone = [report for report in self._reports if report.name not in known]
        self._reports = [*reports, *(replace(report, alive=False) for report in gone)]
