"""Which version of which layer every node holds, and the PCE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from snakegym.arrays import read_only
from snakegym.control.progress.plain import Plain, keep, put_back
from snakegym.control.records import Part
from snakegym.control.view import Floats, Ints
from snakegym.models.profile import ModelProfile
from snakegym.models.store import Versions
from snakegym.models.trained import TrainedSet
from snakegym.network.records import PCE
from snakegym.scenario import Scenario

NOTHING = -1
_CHANGING = ("_versions", "_behind", "_latest", "layer_bytes")


AdapterBytes = Mapping[int | None, Floats]
"""[n_nodes, n_middle]: bytes of adapters of a rank that was chosen; None: of the nodes' own."""


class LayerCaches:
    """Versions of all layers at all nodes; every update gives the layers that it changes a new number.

    The PCE, or in P2P mode the holder, always has every current version. Numbers are never used
    twice, so that after a step back (to `current` as it was) nobody's lost update passes for a new one.

    Where a layer changes by adapters alone, whoever has an older version lacks no more than the adapters
    since: it adds them to what it has. After a step back nobody knows which these would be.
    Where adapters stay beside a layer it grows by those of every hop, until they are as large as they can be;
    after a step back those that were lost are still counted.

    Args:
        n_nodes: number of nodes; they begin with nothing.
        layer_bytes: [n_layers], first and last included.
        trained: which layers a hop changes.
        adapter_bytes: of the adapters by which a hop changes its middle layer; None: all of it changes.
        most_beside: [n_layers]: bytes that adapters beside a layer come to at most; None: there are none.
        keeps_frozen: whether nodes keep the layers that they do not train as they received them.

    Attributes:
        layer_bytes: [n_layers], read-only: as they are now.
        current: [n_layers]: the versions of the model that the process goes on with.
        trained, keeps_frozen: as given.
    """

    def __init__(
        self,
        n_nodes: int,
        layer_bytes: Floats,
        trained: TrainedSet,
        *,
        adapter_bytes: AdapterBytes | None = None,
        most_beside: Floats | None = None,
        keeps_frozen: bool = True,
    ) -> None:
        self.layer_bytes = read_only(np.array(layer_bytes, dtype=np.float64))
        self._first_bytes = self.layer_bytes
        self._most_bytes = self.layer_bytes + (0.0 if most_beside is None else most_beside)
        self.current: Ints = read_only(np.zeros(len(layer_bytes), dtype=np.int64))
        self._versions = np.full((n_nodes + 1, len(layer_bytes)), NOTHING, dtype=np.int64)
        self._behind = np.full((n_nodes + 1, len(layer_bytes)), np.inf)
        """Bytes of the adapters since the version that an end has; infinite where adapters do not do."""
        self.sent_to_pce()
        self._adapter_bytes = adapter_bytes
        self.trained, self.keeps_frozen = trained, keeps_frozen
        self._latest = 0

    def lacking(self) -> Floats:
        """[n_nodes, n_layers], read-only: bytes that a node would have to receive for the current version."""
        return read_only(self._lacking()[:PCE])

    def lacking_pce(self) -> Floats:
        """[n_layers], read-only: likewise of the PCE (P2P)."""
        return read_only(self._lacking()[PCE])

    def _lacking(self) -> Floats:
        lacking: Floats = np.minimum(self._behind, self.layer_bytes) * (self._versions != self.current)
        return lacking

    def since(self, *, pce: bool) -> Versions:
        """[n_layers]: the oldest version that a node, or the `pce`, has and adapters bring up to date."""
        usable = self._behind < self.layer_bytes
        usable[PCE] &= pce
        oldest: list[int] = np.where(usable, self._versions, self.current).min(axis=0).tolist()
        return tuple(oldest)

    @property
    def bytes_beside(self) -> float:
        """Bytes of the adapters of earlier hops that lie beside layers."""
        return float((self.layer_bytes - self._first_bytes).sum())

    def sent_to_pce(self) -> None:
        """The PCE was sent all that it lacked."""
        self._versions[PCE], self._behind[PCE] = self.current, 0.0

    def went_back(self) -> None:
        """The process goes on from an earlier version, `current`: who has another one has no use for it."""
        self._behind = np.where(self._versions == self.current, 0.0, np.inf)

    def next_number(self) -> int:
        """A number that no version and no hop has had."""
        self._latest += 1
        return self._latest

    def of_node(self, node: int) -> Versions:
        """The versions that the node, or the PCE, is known to hold, `NOTHING` where none."""
        versions: list[int] = self._versions[node].tolist()
        return tuple(versions)

    def forget(self, node: int) -> None:
        """Whatever that node held is gone."""
        self._versions[node], self._behind[node] = NOTHING, np.inf

    def book(self, middle: int, parts: Sequence[Part], version: int, rank: int | None = None) -> None:
        """Account for a hop on that middle layer, which gives what it changes that version.

        Where a rank was chosen for its adapters, it was that.

        A node trains in place, so an update that is lost, or that the PCE averaged with others, also
        costs it the versions it had.
        """
        changed = self.trained.of(middle)
        adapted = None if self._adapter_bytes is None else middle + 1
        replaced = [layer for layer in changed if layer != adapted]
        delivered = [part.node for part in parts if part.delivered]
        for part in parts:
            if part.phases.interrupted != "receive":
                self._versions[part.node], self._behind[part.node] = self.current, 0.0
                if not self.keeps_frozen:
                    others = [layer for layer in range(len(self.current)) if layer not in changed]
                    self._set(part.node, others, NOTHING, np.inf)
            if part.batches > 0:
                self._set(part.node, replaced, NOTHING, np.inf)
        if delivered:
            current = self.current.copy()
            for layer in changed:
                current[layer] = version
            self.current = read_only(current)
            for layer in replaced:
                self._behind[:, layer] = np.inf
            if adapted is not None and self._adapter_bytes is not None:
                came = self._adapter_bytes[rank][delivered, middle].sum()
                self._behind[:, adapted] += came
                grown = self.layer_bytes.copy()
                grown[adapted] = min(grown[adapted] + came, self._most_bytes[adapted])
                self.layer_bytes = read_only(grown)
        if len(delivered) == 1:
            self._set(delivered[0], changed, version, 0.0)

    def _set(self, node: int, layers: Sequence[int], version: int, behind: float) -> None:
        for layer in layers:  # for up to three of them faster than one indexed assignment
            self._versions[node, layer], self._behind[node, layer] = version, behind

    def checkpoint(self) -> Plain:
        """All that changes but `current`, as plain data."""
        return keep(self, _CHANGING)

    def restore(self, kept: Plain) -> None:
        """Take up what `checkpoint` gave."""
        put_back(self, _CHANGING, kept, open_ended=("_behind",))


def caches_of(
    scenario: Scenario, profile: ModelProfile, n_nodes: int, adapter_bytes: AdapterBytes | None
) -> LayerCaches:
    """Those of a process that begins.

    In CS mode a node has room for frozen layers in low precision, but not for the originals beside them.
    """
    learning = scenario.learning
    return LayerCaches(
        n_nodes,
        profile.handed_on_bytes(learning),
        profile.trained(learning.trains),
        adapter_bytes=adapter_bytes,
        most_beside=profile.most_beside(learning),
        keeps_frozen=scenario.network.mode == "p2p" or learning.frozen == "fp32" or learning.low_base,
    )
