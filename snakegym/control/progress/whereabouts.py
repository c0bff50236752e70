"""How far the model has come; in P2P mode where copies of it are, and when its holder is given up."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from snakegym.control.progress.checkpoint import Shelf
from snakegym.control.progress.cycle import CycleProgress
from snakegym.control.progress.plain import Plain, count, keep, keep_records, kept, number, records_of
from snakegym.control.records import Hop, Recovery
from snakegym.control.view import Bools, Floats, Ints
from snakegym.errors import SnakegymError
from snakegym.models.state import ModelState
from snakegym.network.records import PCE

_PLAIN = ("metric", "labels", "versions")
_PLAIN_CYCLE = ("index", "order", "trained_in_cycle", "times_trained", "last_gain")


@dataclass(frozen=True)
class Progress:
    """A model and all that belongs to it: it gets lost with the model, and comes back with a copy of it."""

    state: ModelState
    metric: float
    """Validation accuracy as measured last, in [0, 1]."""
    cycle: CycleProgress
    """Layers trained, their gains, and with the cycle its learning rate."""
    labels: Floats
    """[n_classes]: running mean of the labels trained (`RecentLabels`), which also switches distillation."""
    versions: Ints
    """[n_layers]: of the model's layers (`LayerCaches`)."""
    hops: tuple[int, ...] = ()
    """Indices of the hops whose updates are in the model."""

    def checkpoint(self, shelf: Shelf) -> Plain:
        """As plain data; the model's layers go to the shelf."""
        return {
            **keep(self, _PLAIN),
            "cycle": keep(self.cycle, _PLAIN_CYCLE),
            "hops": list(self.hops),
            "state": shelf.put(self.state),
        }

    def restored(self, plain: Plain, shelf: Shelf) -> Progress:
        """What `checkpoint` was called on, in the process that this is of."""
        cycle = replace(self.cycle, **kept(self.cycle, _PLAIN_CYCLE, plain["cycle"]))
        cycle.check()
        return Progress(
            **kept(self, _PLAIN, plain),
            cycle=cycle,
            hops=tuple(count("hops", hop) for hop in plain["hops"]),
            state=shelf.take(plain["state"], self.state),
        )


@dataclass(frozen=True)
class Copy:
    """A model as a node got it or left it; hop -1 is the PC's initial model."""

    node: int
    hop: int
    progress: Progress


class Whereabouts:
    """The model that the process goes on with, where it is, and who has a copy.

    In CS mode the PCE holds it. In P2P mode a node keeps what it trained, or received, until it is visited
    again. When the holder is lost, the PC asks for the latest copy among the nodes that it can reach; what
    the PCE has, at least the initial model, is always at hand.

    Args:
        initial: the model that the process begins with, at the PCE.
        patience_s: how long a holder may be out of reach; None: for ever.

    Attributes:
        progress: the model, and all that belongs to it.
        holder: node that has it, or PCE.
        out_since: when the holder was first found out of reach; None while it can send.
        recoveries: the times that a holder was given up.
    """

    def __init__(self, initial: Progress, patience_s: float | None) -> None:
        self.progress = initial
        self.holder = PCE
        self.out_since: float | None = None
        self.recoveries: list[Recovery] = []
        self._copies = {PCE: Copy(PCE, -1, initial)}
        self._patience_s = np.inf if patience_s is None else patience_s

    def received(self, node: int, hop: Hop, *, reported: bool) -> None:
        """P2P: since that hop the node has the model as it is now, and the PCE too if it was `reported`."""
        ends = (node, PCE) if reported else (node,)
        self._copies.update({end: Copy(end, hop.index, self.progress) for end in ends})
        if hop.delivered:
            self.holder = node

    def can_send(self, reachable: Bools) -> bool:
        """Whether somebody could fetch the model, given the nodes [n_nodes] that are up and alive."""
        return self.holder == PCE or bool(reachable[self.holder])

    def give_up(self, reachable: Bools, dead: bool, time_s: float) -> bool:
        """Go back to the latest copy in reach if the holder is lost for good, or for too long.

        Args:
            reachable: as in `can_send`.
            dead: whether the holder's battery is empty.
            time_s: now.

        Returns:
            Whether it was.
        """
        if self.can_send(reachable):
            self.out_since = None
            return False
        if self.out_since is None:
            self.out_since = time_s
        if not dead and time_s - self.out_since < self._patience_s:
            return False
        found = [copy for node, copy in self._copies.items() if node == PCE or reachable[node]]
        latest = max(found, key=lambda copy: copy.hop)
        known = {hop for recovery in self.recoveries for hop in recovery.hops}
        gone = set(self.progress.hops) - set(latest.progress.hops) - known
        self.recoveries.append(Recovery(time_s, self.holder, latest.node, tuple(sorted(gone))))
        self.progress, self.holder, self.out_since = latest.progress, latest.node, None
        return True

    def checkpoint(self, shelf: Shelf) -> Plain:
        """All that changes, as plain data; the models go to the shelf."""
        copies = [
            {"node": c.node, "hop": c.hop, "progress": c.progress.checkpoint(shelf)}
            for c in self._copies.values()
        ]
        return {
            "progress": self.progress.checkpoint(shelf),
            "copies": copies,
            "recoveries": keep_records(self.recoveries),
            **keep(self, ("holder", "out_since")),
        }

    def restore(self, plain: Plain, shelf: Shelf, n_nodes: int) -> None:
        """Take up what `checkpoint` gave, in a process of so many nodes."""
        copies = [
            Copy(
                count("node", c["node"], PCE, n_nodes),
                count("hop", c["hop"], -1),
                self.progress.restored(c["progress"], shelf),
            )
            for c in plain["copies"]
        ]
        self._copies = {copy.node: copy for copy in copies}
        if PCE not in self._copies:
            raise SnakegymError("checkpoint, field 'copies': found none of the PCE, expected it among them")
        self.progress = self.progress.restored(plain["progress"], shelf)
        self.recoveries = records_of(Recovery, plain["recoveries"])
        self.holder = count("holder", plain["holder"], PCE, n_nodes)
        since = plain["out_since"]
        self.out_since = None if since is None else number("out_since", since)
