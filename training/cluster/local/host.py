"""The host of this machine: each process in a child of its own, on nodes that are simulated."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from snakegym.processes import deaf_to_ctrl_c
from snakegym.training.cluster.hosting import Event, NodeReport, Order, Status
from snakegym.training.cluster.local.attended import give_up
from snakegym.training.cluster.local.hosted import Hosted, folder_of
from snakegym.training.cluster.local.keeping import Log
from snakegym.training.cluster.local.worker import work

LEAVE_S = 60.0
"""For the hop under way, when all is closed."""


@dataclass
class _Run(Hosted):
    """A process and the child in which it runs."""

    nodes: tuple[str, ...] = ()
    child: BaseProcess | None = None
    line: Connection | None = None
    moving: bool = False
    words: list[tuple[Any, ...]] = field(default_factory=list)
    """What a child that is not there yet has to be told."""


class LocalHost:
    """Runs processes on this machine. Fulfils `ProcessHost`; not to be shared by threads.

    Each has a child process of its own, which ends with this one, and a folder, from which it is resumed. The
    network is the scenario's, replayed from traces, the training is real. Nodes are names without properties:
    what sits on a seat is as the scenario draws it. A preempted node's hop is completed first, which takes
    as long as its training does here.

    Args:
        folder: holds a folder for each process.
        n_nodes: simulated nodes, `local-1` and so on.
        slots: processes that each may serve at a time.
        pace: seconds to be taken for a simulated one; 0: as fast as it goes.
    """

    def __init__(self, folder: Path, n_nodes: int = 16, slots: int = 4, pace: float = 0.0) -> None:
        self._folder, self._pace = folder, pace
        self._nodes = [NodeReport(f"local-{i + 1:0{len(str(n_nodes))}}", slots=slots) for i in range(n_nodes)]
        self._runs: dict[str, _Run] = {}
        # A fork server has PyTorch loaded once, and no threads that a fork would leave behind.
        method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        self._context: Any = multiprocessing.get_context(method)
        if method == "forkserver":
            self._context.set_forkserver_preload([work.__module__])

    def start(self, order: Order) -> None:
        """See `ProcessHost`. Raises SnakegymError for the id of a process that runs, or is there already."""
        known = self._runs.get(order.process)
        running = known is not None and self._state(known) not in ("ended", "failed")
        folder = folder_of(self._folder, order, running=running)
        run = _Run(order, folder, Log(folder), nodes=order.nodes)
        self._runs[order.process] = run
        if not run.log.over:
            self._launch(run)

    def lease(self, process: str, nodes: Sequence[str]) -> None:
        run = self._runs[process]
        run.nodes = tuple(nodes)
        self._say(run, "lease", run.nodes)

    def stop(self, process: str) -> None:
        self._say(self._runs[process], "stop", "request")

    def migrate(self, process: str, machine: str | None = None) -> None:
        """See `ProcessHost`; here to another child, as this host has one machine alone."""
        run = self._runs[process]
        self._say(run, "leave")
        run.moving = True

    def status(self, process: str) -> Status:
        run = self._runs[process]
        return run.status(self._state(run))

    def events(self, process: str, since: int = 0) -> list[Event]:
        run = self._runs[process]
        self._state(run)
        return run.log.since(since)

    def nodes(self) -> list[NodeReport]:
        return list(self._nodes)

    def close(self) -> None:
        for run in self._runs.values():
            self._say(run, "leave")
        for run in self._runs.values():
            if run.child is not None:
                run.child.join(LEAVE_S)
                run.child.kill()
                run.child.join()
            if run.line is not None:
                run.line.close()
        self._runs.clear()

    def _launch(self, run: _Run) -> None:
        ours, theirs = self._context.Pipe()
        document = run.order.service.model_dump()
        arguments = (run.folder, document, run.nodes, self._pace, theirs)
        child = self._context.Process(target=work, args=arguments, daemon=True)
        with deaf_to_ctrl_c():
            child.start()
        theirs.close()
        run.child, run.line, run.moving = child, ours, False
        run.begins()
        words, run.words = run.words, []
        for word in words:
            self._say(run, *word)

    def _say(self, run: _Run, *words: Any) -> None:
        """Tell the child; if it is about to be replaced, the next one."""
        if run.moving:
            run.words.append(words)
        elif run.line is not None:
            with suppress(OSError):  # it has just ended
                run.line.send(words)

    def _state(self, run: _Run) -> Any:
        """How a process stands; a child that has died is replaced by one that goes on from its checkpoint."""
        alive = run.child is not None and run.child.is_alive()  # asked first: its last words come before
        if run.log.over:
            return run.log.over
        if not alive:
            if run.child is not None and not run.moving and not self._mourn(run):
                return "failed"
            self._launch(run)
        if run.moving:
            return "moving"
        return "running" if len(run.log) > run.told else "starting"

    def _mourn(self, run: _Run) -> bool:
        """Count a death; whether it is worth another child."""
        if run.dies():
            return True
        code = None if run.child is None else run.child.exitcode
        reason = f"died {run.deaths} times without a hop between, last with exit status {code}"
        give_up(run.folder, reason)
        return False
