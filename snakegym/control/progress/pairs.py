"""Which node trained which layer when, and what it brought."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from snakegym.arrays import read_only
from snakegym.control.records import Hop
from snakegym.control.view import PairsView


class PairRecords:
    """The last hop of every pair of node and middle layer.

    Args:
        n_nodes: number of nodes.
        n_middle: number of middle layers.
        hops: what has been done so far.
    """

    def __init__(self, n_nodes: int, n_middle: int, hops: Iterable[Hop] = ()) -> None:
        shape = n_nodes, n_middle
        self.view = PairsView(
            last_hop=read_only(np.full(shape, -1)),
            last_cycle=read_only(np.full(shape, -1)),
            last_gain=read_only(np.zeros(shape)),
        )
        for hop in hops:
            self.book(hop)

    def book(self, hop: Hop) -> None:
        """Account for a hop of the assigned node and its companions; views given out stay as they are."""
        at = [part.node for part in hop.parts], hop.assignment.layer
        last_hop, last_cycle = self.view.last_hop.copy(), self.view.last_cycle.copy()
        last_gain = self.view.last_gain.copy()
        last_hop[at], last_cycle[at], last_gain[at] = hop.index, hop.cycle, hop.gain
        self.view = PairsView(read_only(last_hop), read_only(last_cycle), read_only(last_gain))
