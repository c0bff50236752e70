"""How far the model has come; in P2P mode where copies of it are, and when its holder is given up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from snakegym.control.progress.cycle import CycleProgress
from snakegym.control.progress.plain import Plain, count, keep, keep_records, kept, number, records_of
from snakegym.control.records import Hop, Recovery
from snakegym.control.view import Bools, Floats, Ints
from snakegym.errors import SnakegymError
from snakegym.models.state import LayerState, ModelState, check_like
from snakegym.models.store import Key, LayerStore, Versions
from snakegym.network.records import PCE

_PLAIN = ("metric", "labels", "versions")
_PLAIN_CYCLE = ("index", "order", "trained_in_cycle", "times_trained", "last_gain")


@dataclass(frozen=True)
class Progress:
    """How far a model is, and all that belongs to it: lost with the model, and back with a copy of it."""

    metric: float
    """Validation accuracy as measured last, in [0, 1]."""
    cycle: CycleProgress
    """Layers trained, their gains, and with the cycle its learning rate."""
    labels: Floats
    """[n_classes]: running mean of the labels trained (`RecentLabels`), which also switches distillation."""
    versions: Ints
    """[n_layers]: of the model's layers (`LayerCaches`), under which they lie in stores."""
    hops: int = 0
    """Delivered hops whose updates are in the model, but for those that a recovery has counted as lost."""

    @property
    def model(self) -> Versions:
        """The versions as what a store takes."""
        versions: list[int] = self.versions.tolist()
        return tuple(versions)

    def checkpoint(self) -> Plain:
        """As plain data."""
        return {
            **keep(self, _PLAIN),
            "cycle": keep(self.cycle, _PLAIN_CYCLE),
            "hops": self.hops,
        }

    def restored(self, plain: Plain) -> Progress:
        """What `checkpoint` was called on, in the process that this is of."""
        cycle = replace(self.cycle, **kept(self.cycle, _PLAIN_CYCLE, plain["cycle"]))
        cycle.check()
        return Progress(
            **kept(self, _PLAIN, plain),
            cycle=cycle,
            hops=count("hops", plain["hops"]),
        )


@dataclass(frozen=True)
class Copy:
    """A model as a node got it or left it; hop -1 is the PC's initial model."""

    node: int
    hop: int
    progress: Progress

    def with_at_most(self, hops: int) -> Copy:
        """The copy, of whose hops no more than so many are counted."""
        if self.progress.hops <= hops:
            return self
        return replace(self, progress=replace(self.progress, hops=hops))


class Whereabouts:
    """The model that the process goes on with, where it is, and who has a copy.

    In CS mode the PCE holds it. In P2P mode a node keeps what it trained, or received, until it is visited
    again. When the holder is lost, the PC asks for the latest copy among the nodes that it can reach; what
    the PCE has, at least the initial model, is always at hand. Whatever came to the model since is lost:
    weights, metric, memory of labels, layers trained and their gains, cycle and with it the learning rate.

    Args:
        initial: the model that the process begins with, at the PCE.
        store: what the PCE has of it, or in a simulation anybody.
        patience_s: how long a holder may be out of reach; None: for ever.

    Attributes:
        store: as given, and what came to it since; nothing that the process will not need.
        progress: the model, and all that belongs to it.
        holder: node that has it, or PCE.
        out_since: when the holder was first found out of reach; None while it can send.
        recoveries: the times that a holder was given up; nothing here reads them.
    """

    def __init__(self, initial: Progress, store: LayerStore, patience_s: float | None) -> None:
        self.progress, self.store = initial, store
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

    @property
    def state(self) -> ModelState:
        """The model itself. Raises SnakegymError if only nodes have it."""
        return self.store.state(self.progress.model)

    def take_in(self, layers: Mapping[Key, LayerState]) -> None:
        """These layers came to the store; what nobody needs any more goes."""
        self.store.put(layers)
        if self.store.crowded:
            self.store.keep(self._keys())

    def forget(self, node: int) -> None:
        """Whatever that node held is gone; if it is the holder, the process goes back to another copy."""
        self._copies.pop(node, None)

    def brought_home(self) -> None:
        """The PCE has the model as it is now, and hands it on."""
        latest = max(copy.hop for copy in self._copies.values())
        self._copies[PCE] = Copy(PCE, latest, self.progress)
        self.holder, self.out_since = PCE, None

    def can_send(self, reachable: Bools) -> bool:
        """Whether somebody could fetch the model, given the nodes [n_nodes] that are up and alive."""
        here = self.holder == PCE or (self.holder in self._copies and bool(reachable[self.holder]))
        return here

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
        dead = dead or self.holder not in self._copies
        if not dead and time_s - self.out_since < self._patience_s:
            return False
        found = [copy for node, copy in self._copies.items() if node == PCE or reachable[node]]
        latest = max(found, key=lambda copy: copy.hop)
        left = latest.progress.hops
        self.recoveries.append(Recovery(time_s, self.holder, latest.node, self.progress.hops - left))
        # Every hop since the latest copy is lost now, in later copies of a branch that was left before, too.
        self._copies = {node: copy.with_at_most(left) for node, copy in self._copies.items()}
        self.progress, self.holder, self.out_since = latest.progress, latest.node, None
        return True

    def checkpoint(self) -> tuple[tuple[LayerState, ...], Plain]:
        """All that changes: the layers in the store, and the rest as plain data."""
        layers = self.store.take(sorted(key for key in self._keys() if key in self.store))
        copies = [
            {"node": c.node, "hop": c.hop, "progress": c.progress.checkpoint()} for c in self._copies.values()
        ]
        plain = {
            "layers": [list(key) for key in layers],
            "progress": self.progress.checkpoint(),
            "copies": copies,
            "recoveries": keep_records(self.recoveries),
            **keep(self, ("holder", "out_since")),
        }
        return tuple(layers.values()), plain

    def restore(self, layers: Sequence[LayerState], plain: Plain, n_nodes: int) -> None:
        """Take up what `checkpoint` gave, in a process of so many nodes."""
        like = self.store.state(self._copies[PCE].progress.model)
        copies = [
            Copy(
                count("node", c["node"], PCE, n_nodes),
                count("hop", c["hop"], -1),
                self.progress.restored(c["progress"]),
            )
            for c in plain["copies"]
        ]
        self._copies = {copy.node: copy for copy in copies}
        if PCE not in self._copies:
            raise SnakegymError("checkpoint, field 'copies': found none of the PCE, expected it among them")
        self.progress = self.progress.restored(plain["progress"])
        self.recoveries = records_of(Recovery, plain["recoveries"])
        self.holder = count("holder", plain["holder"], PCE, n_nodes)
        since = plain["out_since"]
        self.out_since = None if since is None else number("out_since", since)
        self.store = _restored(layers, plain["layers"], self.store.whole)
        self._check(like)

    def _check(self, like: ModelState) -> None:
        """See that the store has, at least, the model of the PCE, and only models like that one."""
        at_hand = self._copies[PCE].progress.model
        for versions in self._models():
            if self.store.has(versions):
                check_like(self.store.state(versions).layers, like.layers)
            elif self.store.whole or versions == at_hand:
                raise SnakegymError(
                    f"checkpoint: found no model of versions {[*versions]}, expected its layers"
                )

    def _models(self) -> set[Versions]:
        """Those that the process may still need: it goes on with one, and the others are copies."""
        return {self.progress.model, *(copy.progress.model for copy in self._copies.values())}

    def _keys(self) -> set[Key]:
        return {key for model in self._models() for key in enumerate(model)}


def _restored(layers: Sequence[LayerState], keys: Sequence[Sequence[int]], whole: bool) -> LayerStore:
    if len(keys) != len(layers):
        raise SnakegymError(f"checkpoint: found {len(layers)} layers, expected {len(keys)} as it says")
    pairs = [(count("layers", layer), count("layers", version)) for layer, version in keys]
    return LayerStore(dict(zip(pairs, layers, strict=True)), whole=whole)
