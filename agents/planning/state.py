"""Where a process will be after hops that are only planned: many plans at once.

What is certain is followed exactly (who holds which layer, cycle, labels trained, clock, batteries), as the
Process Controller does for hops that are delivered whole; what is not (how long a hop takes, what it
brings) is for the caller to say. Nodes that are reachable now are taken to stay so, others to stay away.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from snakegym.control.nodes.holdings import LABEL_MEMORY
from snakegym.control.view import Bools, Floats, Ints, ProcessView
from snakegym.data.divergence import js_distances


@dataclass(frozen=True)
class PlanState:
    """B plans, each after the same number of hops. Arrays start with the plan: [B, ...].

    N nodes, M middle layers, K = M + 2 layers, C classes.
    """

    view: ProcessView
    """What is known; all that never changes is read from here."""
    clock_s: Floats
    """[B]: simulated time."""
    energy_j: Floats
    """[B]: spent in the process so far, by all."""
    battery_j: Floats
    """[B, N]: energy left to each node; inf for mains."""
    holder: Ints
    """[B]: node that holds the latest model, or PCE (-1)."""
    lacking: Floats
    """[B, N, K]: bytes that the node lacks of the current version of the layer."""
    lacking_pce: Floats
    """[B, K]: likewise the PCE."""
    trained_in_cycle: Bools
    """[B, M]."""
    cycle: Ints
    """[B]."""
    hops: Ints
    """[B]: hops done, those before the plan included."""
    metric: Floats
    """[B]: expected validation accuracy, in [0, 1]."""
    recent_labels: Floats
    """[B, C]: see `ProcessView.recent_labels`."""
    visits: Ints
    """[B, N]."""
    times_trained: Ints
    """[B, M]."""
    node_gain: Floats
    """[B, N]: of the node's last hop, measured or expected; 0 before the first."""
    layer_gain: Floats
    """[B, M]: of the last hop on the layer, likewise."""
    pair_gain: Floats
    """[B, N, M]: of the pair's last hop, likewise."""
    last_hop: Ints
    """[B, N, M]: index of the pair's last hop; -1 if there was none."""
    recent_gain: Floats
    """[B]: running mean of the gains of the latest hops (weight of the newest 1/4)."""

    @classmethod
    def of(cls, view: ProcessView) -> PlanState:
        """One plan (B = 1) without a hop yet: the state that the view shows."""
        nodes, layers, pairs = view.nodes, view.layers, view.pairs
        recent = 0.0
        for gain in view.recent_gains:
            recent += (gain - recent) / 4
        one = {
            "clock_s": view.clock_s,
            "energy_j": view.spent.energy_j,
            "battery_j": nodes.battery_j,
            "holder": view.holder,
            "lacking": view.lacking,
            "lacking_pce": view.lacking_pce,
            "trained_in_cycle": layers.trained_in_cycle,
            "cycle": view.cycle,
            "hops": view.hops,
            "metric": view.metric,
            "recent_labels": view.recent_labels,
            "visits": nodes.visits,
            "times_trained": layers.times_trained,
            "node_gain": nodes.last_gain,
            "layer_gain": layers.last_gain,
            "pair_gain": pairs.last_gain,
            "last_hop": pairs.last_hop,
            "recent_gain": recent,
        }
        return cls(view=view, **{name: np.asarray(value)[None] for name, value in one.items()})

    def __len__(self) -> int:
        """Number of plans, B."""
        return len(self.clock_s)

    def take(self, plans: Ints) -> PlanState:
        """These plans, in this order; a plan may be taken more than once. Arrays are copies."""
        arrays = {field.name: getattr(self, field.name)[plans] for field in fields(self)[1:]}
        return replace(self, **arrays)

    @property
    def divergence(self) -> Floats:
        """[B, N]: Jensen-Shannon distance of each node's labels from those trained recently."""
        if len(self) == 1 and self.hops[0] == self.view.hops:
            return self.view.nodes.divergence[None]
        return js_distances(self.view.nodes.labels, self.recent_labels)

    @property
    def missing_bytes(self) -> Floats:
        """[B, N]: bytes of the layers whose current version the node lacks."""
        missing: Floats = self.lacking.sum(axis=-1)
        return missing

    @property
    def open_layers(self) -> Bools:
        """[B, M]: layers that may be trained next.

        With a random order of which the view names the present layer alone, the others are all open after it.
        """
        view, untrained = self.view, ~self.trained_in_cycle
        if view.layer_order == "free":
            return np.ones_like(untrained) if view.repeat_layers else untrained
        if view.layer_order == "random":
            now = self.hops == view.hops
            return np.where(now[:, None], view.layers.open, untrained)
        order = np.arange(view.n_middle)
        if view.layer_order == "reverse":
            order = order[::-1]
        following = order[np.argmax(untrained[:, order], axis=1)]
        is_next: Bools = np.arange(view.n_middle) == following[:, None]
        return is_next

    @property
    def legal(self) -> Bools:
        """[B, N, M]: pairs that may be next, as far as one knows; whether batteries last is not in it."""
        view = self.view
        if len(self) == 1 and self.hops[0] == view.hops:
            return view.legal[None]
        able = view.nodes.reachable[:, None] & view.fits
        awake = self.battery_j[:, :, None] > 0
        return able & awake & self.open_layers[:, None, :]

    def after(
        self,
        node: Ints,
        layer: Ints,
        *,
        time_s: Floats,
        energy_j: Floats,
        gain: Floats,
        node_energy_j: Floats | float = 0.0,
        changed_bytes: Floats | None = None,
    ) -> PlanState:
        """Each plan one hop on; one node trains alone.

        Args:
            node: [B]: who trains next in each plan.
            layer: [B]: the middle layer that it trains.
            time_s: [B]: how long the hop takes.
            energy_j: [B]: of all who take part.
            gain: [B]: what it is expected to bring.
            node_energy_j: [B]: what of its energy the node itself pays.
            changed_bytes: [B]: of the layer, by the hop; None: as the view says.
        """
        view, b = self.view, np.arange(len(self))
        changed = view.changed_bytes[node, layer] if changed_bytes is None else changed_bytes
        battery_j, visits, node_gain = self.battery_j.copy(), self.visits.copy(), self.node_gain.copy()
        times, layer_gain = self.times_trained.copy(), self.layer_gain.copy()
        pair_gain, last_hop = self.pair_gain.copy(), self.last_hop.copy()
        battery_j[b, node] = np.maximum(0.0, battery_j[b, node] - node_energy_j)
        visits[b, node] += 1
        times[b, layer] += 1
        node_gain[b, node] = layer_gain[b, layer] = pair_gain[b, node, layer] = gain
        last_hop[b, node, layer] = self.hops
        trained = self.trained_in_cycle.copy()
        trained[b, layer] = True
        over = trained.all(axis=1)
        trained[over] = False
        labels = LABEL_MEMORY * self.recent_labels + (1 - LABEL_MEMORY) * view.nodes.labels[node]
        return PlanState(
            view=view,
            clock_s=self.clock_s + time_s,
            energy_j=self.energy_j + energy_j,
            battery_j=battery_j,
            holder=node if view.mode == "p2p" else self.holder,
            lacking=self._lacking_after(node, layer, changed),
            lacking_pce=self._lacking_pce_after(layer, changed),
            trained_in_cycle=trained,
            cycle=self.cycle + over,
            hops=self.hops + 1,
            metric=np.clip(self.metric + gain, 0.0, 1.0),
            recent_labels=labels,
            visits=visits,
            times_trained=times,
            node_gain=node_gain,
            layer_gain=layer_gain,
            pair_gain=pair_gain,
            last_hop=last_hop,
            recent_gain=self.recent_gain + (gain - self.recent_gain) / 4,
        )

    def _lacking_after(self, node: Ints, layer: Ints, changed: Floats) -> Floats:
        """[B, N, K]: the node has everything (what it trained, where it keeps no more); others lack that."""
        view, b, size = self.view, np.arange(len(self)), self.view.layer_bytes
        lacking, ends = self.lacking.copy(), list(view.trained.ends)
        lacking[:, :, ends] = size[ends]
        older = lacking[b, :, layer + 1] + changed[:, None]
        lacking[b, :, layer + 1] = np.minimum(older, size[layer + 1][:, None])
        lacking[b, node] = 0.0 if view.keeps_frozen else size
        lacking[b, node, layer + 1] = 0.0
        for end in ends:
            lacking[b, node, end] = 0.0
        return lacking

    def _lacking_pce_after(self, layer: Ints, changed: Floats) -> Floats:
        """[B, K]: the PCE has everything where nodes report to it, else it lacks what was trained."""
        view = self.view
        if view.mode == "cs" or view.evaluation == "pce":
            return np.zeros_like(self.lacking_pce)
        lacking, b, size, ends = (
            self.lacking_pce.copy(),
            np.arange(len(self)),
            view.layer_bytes,
            [*view.trained.ends],
        )
        lacking[:, ends] = size[ends]
        older = lacking[b, layer + 1] + changed
        lacking[b, layer + 1] = np.minimum(older, size[layer + 1])
        return lacking


def over(state: PlanState) -> Bools:
    """[B]: plans after which the process has ended."""
    view, budget = state.view, state.view.budget
    done: Bools = state.clock_s >= budget.time_s
    done |= state.hops + view.waits >= budget.decisions
    if budget.energy_j is not None:
        done |= state.energy_j >= budget.energy_j
    if budget.hops is not None:
        done |= state.hops >= budget.hops
    if view.target is not None:
        done |= (state.metric >= view.target) & (state.clock_s > 0)
    return done
