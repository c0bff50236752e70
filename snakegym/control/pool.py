"""The pool of accepted nodes, and what the Process Controller remembers of each."""

from __future__ import annotations

import numpy as np

from snakegym.control.records import PCE, Hop
from snakegym.control.view import Bools, Floats
from snakegym.network.network import Network


class NodePool:
    """Nodes leave when their battery is used up; all others are members."""

    def __init__(self, network: Network) -> None:
        n = network.n_nodes
        self.visits = np.zeros(n, dtype=np.int64)
        self.interruptions = np.zeros(n, dtype=np.int64)
        self.last_gain = np.zeros(n)
        self.energy_j = np.zeros(n)
        self._battery_j = network.battery_j

    def battery(self) -> Floats:
        """[n_nodes]: share of the battery that is left, in [0, 1]; 1 for mains."""
        return np.maximum(0.0, 1.0 - self.energy_j / self._battery_j)

    def members(self) -> Bools:
        """[n_nodes]: accepted by the Process Controller."""
        return self.battery() > 0

    def book(self, hop: Hop) -> None:
        """Account for a hop: visits, interruptions, gains and batteries of both ends."""
        node = hop.assignment.node
        self.visits[node] += 1
        self.interruptions[node] += hop.phases.interrupted is not None
        self.last_gain[node] = hop.gain
        self.energy_j[node] += hop.phases.node_energy_j
        if hop.sender != PCE:
            self.energy_j[hop.sender] += hop.phases.sender_energy_j
