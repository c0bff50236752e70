"""P2P mode: where copies of the model are, and when its holder is given up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snakegym.control.checkpoint import Plain, Shelf
from snakegym.control.view import Bools
from snakegym.models.state import ModelState
from snakegym.network.records import PCE


@dataclass(frozen=True)
class Copy:
    """A model as a node got it or left it; hop -1 is the PC's initial model."""

    node: int
    hop: int
    state: ModelState
    metric: float


class ModelCopies:
    """Who holds which complete model, and for how long the latest holder has been out of reach.

    A node keeps what it trained, or received, until it is visited again. When the holder is lost, the
    PC asks for the latest copy among the nodes that it can reach; the initial model is its own.

    Args:
        state: the initial model.
        metric: its validation accuracy.
        patience_s: how long a holder may be out of reach; None: for ever.
    """

    def __init__(self, state: ModelState, metric: float, patience_s: float | None) -> None:
        self._initial = Copy(PCE, -1, state, metric)
        self._of: dict[int, Copy] = {}
        self._patience_s = np.inf if patience_s is None else patience_s
        self._out_since: float | None = None

    def keep(self, copy: Copy) -> None:
        """The copy that its node holds from now on."""
        self._of[copy.node] = copy

    def given_up(self, can_send: bool, dead: bool, time_s: float) -> bool:
        """Whether to stop waiting for the holder, given what is measured of it at `time_s`."""
        if can_send:
            self._out_since = None
            return False
        if self._out_since is None:
            self._out_since = time_s
        lost = dead or time_s - self._out_since >= self._patience_s
        if lost:
            self._out_since = None
        return lost

    def latest(self, reachable: Bools) -> Copy:
        """The latest copy on the nodes that `reachable` [n_nodes] marks, else the initial model."""
        found = [copy for node, copy in self._of.items() if reachable[node]]
        return max(found, key=lambda copy: copy.hop, default=self._initial)

    def checkpoint(self, shelf: Shelf) -> Plain:
        """All that changes, as plain data; the models go to the shelf."""
        copies = [
            {"node": c.node, "hop": c.hop, "state": shelf.put(c.state), "metric": c.metric}
            for c in (self._initial, *self._of.values())
        ]
        return {"copies": copies, "out_since": self._out_since}

    def go_on_from(self, kept: Plain, shelf: Shelf) -> None:
        """Take up what `checkpoint` gave."""
        self._initial, *others = [
            Copy(c["node"], c["hop"], shelf.take(c["state"]), c["metric"]) for c in kept["copies"]
        ]
        self._of = {copy.node: copy for copy in others}
        self._out_since = kept["out_since"]
