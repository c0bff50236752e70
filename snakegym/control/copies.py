"""How far the model has come; in P2P mode where copies of it are, and when its holder is given up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snakegym.control.cycle import CycleProgress
from snakegym.control.view import Bools, Floats, Ints
from snakegym.models.state import ModelState
from snakegym.network.records import PCE


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


@dataclass(frozen=True)
class Copy:
    """A model as a node got it or left it; hop -1 is the PC's initial model."""

    node: int
    hop: int
    progress: Progress


class ModelCopies:
    """Who holds which complete model, and for how long the latest holder has been out of reach.

    A node keeps what it trained, or received, until it is visited again. When the holder is lost, the
    PC asks for the latest copy among the nodes that it can reach; the initial model is its own.

    Args:
        initial: the model that the process begins with.
        patience_s: how long a holder may be out of reach; None: for ever.

    Attributes:
        of: the latest copy at each node, and at the PCE.
        out_since: when the holder was first found out of reach; None while it can send.
    """

    def __init__(self, initial: Progress, patience_s: float | None) -> None:
        self.of: dict[int, Copy] = {}
        self.keep(Copy(PCE, -1, initial))
        self.out_since: float | None = None
        self._patience_s = np.inf if patience_s is None else patience_s

    def keep(self, copy: Copy) -> None:
        """The copy that its node holds from now on."""
        self.of[copy.node] = copy

    def given_up(self, can_send: bool, dead: bool, time_s: float) -> bool:
        """Whether to stop waiting for the holder, given what is measured of it at `time_s`."""
        if can_send:
            self.out_since = None
            return False
        if self.out_since is None:
            self.out_since = time_s
        lost = dead or time_s - self.out_since >= self._patience_s
        if lost:
            self.out_since = None
        return lost

    def latest(self, reachable: Bools) -> Copy:
        """The latest copy at the PCE and on the nodes that `reachable` [n_nodes] marks."""
        found = [copy for node, copy in self.of.items() if node == PCE or reachable[node]]
        return max(found, key=lambda copy: copy.hop)
