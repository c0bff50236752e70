"""Which version of which layer every node holds."""

from __future__ import annotations

import numpy as np

from snakegym.control.view import Bools, Floats

NOTHING = -1


class LayerCaches:
    """Versions of all layers at all nodes; the current version counts up with each update.

    The PCE, or in P2P mode the holder, always has every current version.

    Args:
        n_nodes: number of nodes; they begin with nothing.
        layer_bytes: [n_layers], first and last included.
    """

    def __init__(self, n_nodes: int, layer_bytes: Floats) -> None:
        self.layer_bytes = np.asarray(layer_bytes, dtype=np.float64)
        self._current = np.zeros(len(layer_bytes), dtype=np.int64)
        self._versions = np.full((n_nodes, len(layer_bytes)), NOTHING, dtype=np.int64)

    def held(self) -> Bools:
        """[n_nodes, n_layers]: whether the node holds the current version."""
        held: Bools = self._versions == self._current
        return held

    def missing_bytes_of_all(self) -> Floats:
        """[n_nodes]: bytes of the layers whose current version the node lacks."""
        missing: Floats = ~self.held() @ self.layer_bytes
        return missing

    def missing_bytes(self, node: int) -> int:
        """Bytes that the node must receive before it can train."""
        return int(self.layer_bytes[self._versions[node] != self._current].sum())

    def trained_bytes(self, middle: int) -> int:
        """Bytes of what a hop on that middle layer changes: first, middle and last."""
        return int(self.layer_bytes[[0, middle + 1, -1]].sum())

    def book(self, node: int, middle: int, *, received: bool, trained: bool, delivered: bool) -> None:
        """Account for a hop.

        A node trains in place, so an update that is lost also costs it the versions it had.
        """
        changed = [0, middle + 1, -1]
        if received:
            self._versions[node] = self._current
        if delivered:
            self._current[changed] += 1
            self._versions[node, changed] = self._current[changed]
        elif trained:
            self._versions[node, changed] = NOTHING
