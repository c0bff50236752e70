"""Which node trained which layer when, and what it brought."""

from __future__ import annotations

import numpy as np

from snakegym.arrays import read_only
from snakegym.control.progress.plain import Plain, keep, kept
from snakegym.control.records import Hop
from snakegym.control.view import PairsView

_CHANGING = ("last_hop", "last_cycle", "last_gain")


class PairRecords:
    """The last hop of every pair of node and middle layer.

    Args:
        n_nodes: number of nodes.
        n_middle: number of middle layers.
    """

    def __init__(self, n_nodes: int, n_middle: int) -> None:
        shape = n_nodes, n_middle
        self.view = PairsView(
            last_hop=read_only(np.full(shape, -1)),
            last_cycle=read_only(np.full(shape, -1)),
            last_gain=read_only(np.zeros(shape)),
        )

    def book(self, hop: Hop) -> None:
        """Account for a hop of the assigned node and its companions; views given out stay as they are."""
        at = [part.node for part in hop.parts], hop.assignment.layer
        last_hop, last_cycle = self.view.last_hop.copy(), self.view.last_cycle.copy()
        last_gain = self.view.last_gain.copy()
        last_hop[at], last_cycle[at], last_gain[at] = hop.index, hop.cycle, hop.gain
        self.view = PairsView(read_only(last_hop), read_only(last_cycle), read_only(last_gain))

    def checkpoint(self) -> Plain:
        """As plain data."""
        return keep(self.view, _CHANGING)

    def restore(self, plain: Plain) -> None:
        """Take up what `checkpoint` gave."""
        self.view = PairsView(**kept(self.view, _CHANGING, plain))
