"""Which version of which layer every node holds, and the PCE."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snakegym.arrays import read_only
from snakegym.control.progress.plain import Plain, keep, put_back
from snakegym.control.records import Part
from snakegym.control.view import Bools, Floats, Ints
from snakegym.models.trained import TrainedSet
from snakegym.network.records import PCE

NOTHING = -1
_CHANGING = ("_versions", "_latest")


class LayerCaches:
    """Versions of all layers at all nodes; every update gives the layers that it changes a new number.

    The PCE, or in P2P mode the holder, always has every current version. Numbers are never used
    twice, so that after a step back (to `current` as it was) nobody's lost update passes for a new one.

    Args:
        n_nodes: number of nodes; they begin with nothing.
        layer_bytes: [n_layers], first and last included.
        trained: which layers a hop changes.
        keeps_frozen: whether nodes keep the layers that they do not train as they received them.

    Attributes:
        current: [n_layers]: the versions of the model that the process goes on with.
        trained, keeps_frozen: as given.
    """

    def __init__(
        self, n_nodes: int, layer_bytes: Floats, trained: TrainedSet, *, keeps_frozen: bool = True
    ) -> None:
        self.layer_bytes = read_only(np.array(layer_bytes, dtype=np.float64))
        self.current: Ints = read_only(np.zeros(len(layer_bytes), dtype=np.int64))
        self._versions = np.full((n_nodes + 1, len(layer_bytes)), NOTHING, dtype=np.int64)
        self._versions[PCE] = self.current
        self.trained, self.keeps_frozen = trained, keeps_frozen
        self._latest = 0

    def held(self) -> Bools:
        """[n_nodes, n_layers], read-only: whether the node holds the current version."""
        return read_only(self._versions[:PCE] == self.current)

    def held_by_pce(self) -> Bools:
        """[n_layers], read-only: whether the PCE was sent the current version (P2P)."""
        return read_only(self._versions[PCE] == self.current)

    def sent_to_pce(self) -> None:
        """The PCE was sent all that it lacked."""
        self._versions[PCE] = self.current

    def missing_bytes(self, held: Bools) -> Floats:
        """[n_nodes], read-only: bytes of the layers whose current version the node lacks, given `held`."""
        return read_only(np.add.reduce(~held * self.layer_bytes, axis=1))

    def book(self, middle: int, parts: Sequence[Part]) -> None:
        """Account for a hop on that middle layer.

        A node trains in place, so an update that is lost, or that the PCE averaged with others, also
        costs it the versions it had.
        """
        changed = self.trained.of(middle)
        delivered = [part.node for part in parts if part.delivered]
        for part in parts:
            if part.phases.interrupted != "receive":
                held = self._versions[part.node]
                if self.keeps_frozen:
                    held[:] = self.current
                else:
                    held[:] = NOTHING
                    held[list(changed)] = self.current[list(changed)]
            if part.batches > 0:
                _set(self._versions[part.node], changed, NOTHING)
        if delivered:
            self._latest += 1
            current = self.current.copy()
            _set(current, changed, self._latest)
            self.current = read_only(current)
        if len(delivered) == 1:
            _set(self._versions[delivered[0]], changed, self._latest)

    def checkpoint(self) -> Plain:
        """All that changes but `current`, as plain data."""
        return keep(self, _CHANGING)

    def restore(self, kept: Plain) -> None:
        """Take up what `checkpoint` gave."""
        put_back(self, _CHANGING, kept)


def _set(versions: Ints, layers: Sequence[int], value: int) -> None:
    for layer in layers:  # for up to three of them faster than one indexed assignment
        versions[layer] = value
