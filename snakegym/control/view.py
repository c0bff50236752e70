"""What a Process Controller can honestly know at a decision: present and past, never the future."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from snakegym.arrays import read_only
from snakegym.errors import SnakegymError
from snakegym.models.trained import TrainedSet
from snakegym.network.records import Costs
from snakegym.scenario import BudgetConfig, CompanionRule, Evaluation, LayerOrder, Mode, Objective

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class NodesView:
    """Per node, each an array [n_nodes] where nothing else is said."""

    availability: Floats
    """Share of the node's compute that is free now, in [0, 1]."""
    mean_availability: Floats
    """The same, mean over the measurement window behind us."""
    peak_flops: Floats
    """FLOP/s when all of the node's compute is free."""
    uplink_bps: Floats
    """bit/s now, node to network."""
    downlink_bps: Floats
    mean_uplink_bps: Floats
    """bit/s, mean over the measurement window behind us."""
    mean_downlink_bps: Floats
    past_availability: Floats
    """[n_nodes, W], oldest first: the same means over each of the last W = 4 windows.

    Nothing is known from before time 0: a window that time cuts has the mean over what is left of it, and one
    that lies before it is given the values of the next; at time 0 all have the present ones.
    """
    past_uplink_bps: Floats
    """[n_nodes, W], oldest first, likewise."""
    past_downlink_bps: Floats
    past_up: Floats
    """[n_nodes, W], oldest first: share of the window that the link was up (the direction that was so for
    less), times the share that compute was up, in [0, 1]."""
    rtt_s: Floats
    memory_bytes: Floats
    compute_power_w: Floats
    radio_power_w: Floats
    battery: Floats
    """Share of the battery that is left, in [0, 1]; 1 for mains."""
    battery_j: Floats
    """Energy that is left in it, J; inf for mains."""
    samples: Ints
    """Training samples the node holds."""
    labels: Floats
    """[n_nodes, n_classes]: share of each label in its samples, from which divergences are measured."""
    divergence: Floats
    """Jensen-Shannon distance (base 2, in [0, 1]) of the node's labels from those trained recently."""
    distils: Bools
    """Whether a hop would distil: the node's labels diverge beyond the scenario's threshold."""
    teacher_flops: Floats
    """FLOPs that distilling adds to a hop; 0 where the node would not distil."""
    teacher_bytes: Floats
    """Memory that distilling adds to a hop's; 0 where the node would not distil."""
    visits: Ints
    """Hops the node has done in this process."""
    interruptions: Ints
    """Of these, how many were interrupted."""
    last_gain: Floats
    """Gain of the node's last hop; 0 before the first."""
    missing_bytes: Floats
    """Bytes of the layers whose current version the node lacks."""
    in_pool: Bools
    """Accepted by the Process Controller."""
    reachable: Bools
    """In the pool, and link and compute are up now."""


@dataclass(frozen=True)
class LayersView:
    """Per middle layer, each an array [n_middle]."""

    flops: Floats
    """FLOPs to train one sample when this middle layer is the assigned one; of adapters, mean over nodes."""
    n_bytes: Floats
    """Bytes of this layer's parameters."""
    memory_bytes: Floats
    """Memory that a hop on this layer needs; with adapters, mean over nodes."""
    kept_bytes: Floats
    """Memory that each of the node's samples adds: of what the frozen layers before make of it."""
    times_trained: Ints
    trained_in_cycle: Bools
    open: Bools
    """May be trained next, as far as cycle and layer order go."""
    last_gain: Floats
    """Gain of the last hop on this layer; 0 before the first."""


@dataclass(frozen=True)
class AdaptersView:
    """Per node and middle layer, each [n_nodes, n_middle]: a hop that trains adapters of the layer."""

    ranks: Ints
    """Of the adapters that the node would train."""
    flops: Floats
    """FLOPs to train one sample."""
    memory_bytes: Floats
    """Memory that the hop needs, if the node does not distil."""
    n_bytes: Floats
    """Bytes of the adapters: what changes of the layer."""


@dataclass(frozen=True)
class RankView:
    """A rank that a scheduler may choose."""

    rank: int
    adapters: AdaptersView
    """Of hops with that rank, whatever the rule says."""
    legal: Bools
    """[n_nodes, n_middle]: assignments allowed now with that rank."""


@dataclass(frozen=True)
class PairsView:
    """Per node and middle layer, each an array [n_nodes, n_middle]: when the node trained the layer last.

    Whatever became of that hop, and of the model after it.
    """

    last_hop: Ints
    """Index of that hop among all hops; -1 if there was none."""
    last_cycle: Ints
    """Cycle of that hop; -1 if there was none."""
    last_gain: Floats
    """Gain of that hop; 0 if there was none."""


@dataclass(frozen=True)
class ProcessView:
    """An immutable snapshot at a decision. Arrays are read-only.

    Of layers of the whole model 0 is `first`, 1..n_middle are the middle layers, -1 is `last`.
    """

    nodes: NodesView
    layers: LayersView
    pairs: PairsView
    recent_labels: Floats
    """[n_classes]: running mean of the labels trained recently, which `nodes.divergence` is measured from."""
    legal: Bools
    """[n_nodes, n_middle]: assignments allowed now. Waiting and finishing always are."""
    lacking: Floats
    """[n_nodes, n_middle + 2]: bytes that the node would have to receive to hold the current version.

    Of a layer of which it has an older version that since was changed by adapters alone: those adapters.
    """
    lacking_pce: Floats
    """[n_middle + 2]: likewise of the PCE; in CS mode it lacks nothing."""
    trained: TrainedSet
    """Which layers a hop changes."""
    keeps_frozen: bool
    """Whether a node still holds the layers that it did not train; not if it keeps them in low precision."""
    layer_bytes: Floats
    """[n_middle + 2]: bytes of every layer of the whole model, adapters that lie beside it included."""
    mode: Mode
    evaluation: Evaluation
    """Who measures the metric in P2P mode: `node`, `pce`, or an `observer` at nobody's expense."""
    evaluation_flops: float
    """FLOPs that measuring the metric adds to a hop; 0 where the node does not."""
    layer_order: LayerOrder
    repeat_layers: bool
    holder: int
    """Node that holds the latest model (P2P), or PCE (-1)."""
    clock_s: float
    hops: int
    """Hops done (interrupted ones too)."""
    cycle: int
    metric: float
    """Validation score of the model as measured last, in [0, 1]; of a classification it is the accuracy
    (`snakegym.data.tasks`)."""
    recent_gains: tuple[float, ...]
    """Gains of the latest hops, newest last, at most 8."""
    spent: Costs
    budget: BudgetConfig
    objective: Objective
    epochs: int
    wait_s: float
    waits: int = 0
    """Waits done, illegal actions among them."""
    target: float | None = None
    """Validation accuracy that ends the process; None: there is none."""
    parallel: int = 1
    """Nodes that train together in a hop, companions included (CS mode)."""
    companions: CompanionRule = "shortest"
    """Which companions a node gets where the scheduler does not name them (`control.forecast.companions`)."""
    adapters: AdaptersView | None = None
    """Where hops train low-rank adapters of the middle layer; None: all its parameters. Where the scheduler
    chooses ranks, those and the costs that a node's own rank has, to which `legal` belongs, too."""
    ranks: tuple[RankView, ...] = ()
    """Ranks that the scheduler chooses among, rising; empty where it has no choice."""

    bytes_beside: float = 0.0
    """Bytes of earlier hops' adapters that lie beside layers in low precision, where hops train adapters."""

    @property
    def held(self) -> Bools:
        """[n_nodes, n_middle + 2]: whether the node holds the current version of the layer."""
        held: Bools = self.lacking == 0
        return held

    @property
    def held_by_pce(self) -> Bools:
        """[n_middle + 2]: whether the PCE was sent the current version."""
        held: Bools = self.lacking_pce == 0
        return held

    @property
    def pair_flops(self) -> Floats:
        """[n_nodes, n_middle]: FLOPs to train one sample."""
        own = self.layers.flops if self.adapters is None else self.adapters.flops
        return np.broadcast_to(own, self.legal.shape)

    @property
    def changed_bytes(self) -> Floats:
        """[n_nodes, n_middle]: bytes of what a hop changes of the assigned layer."""
        own = self.layer_bytes[1:-1] if self.adapters is None else self.adapters.n_bytes
        return np.broadcast_to(own, self.legal.shape)

    def allows(self, node: int, layer: int, rank: int | None = None) -> bool:
        """Whether that is a pair of this process, and legal now, with that rank if one is chosen."""
        inside = 0 <= node < self.n_nodes and 0 <= layer < self.n_middle
        if rank is None:
            return inside and bool(self.legal[node, layer])
        return inside and any(one.rank == rank and one.legal[node, layer] for one in self.ranks)

    def at_rank(self, rank: int | None) -> ProcessView:
        """The same moment, as if that rank were everybody's and there were no choice; None: as it is.

        Raises:
            SnakegymError: the rank is none of `ranks`.
        """
        if rank is None:
            return self
        for one in self.ranks:
            if one.rank == rank:
                return replace(self, adapters=one.adapters, legal=one.legal, ranks=())
        offered = ", ".join(str(one.rank) for one in self.ranks) or "none (the scenario says it)"
        raise SnakegymError(f"assignment: found rank {rank!r:.20}, expected one of {offered}")

    def narrowed(self, able: Bools) -> ProcessView:
        """The same, but only what is `able`, too, is legal, with whatever rank; broadcasts to `legal`."""
        ranks = tuple(replace(one, legal=read_only(one.legal & able)) for one in self.ranks)
        return replace(self, legal=read_only(self.legal & able), ranks=ranks)

    @property
    def next_layer(self) -> int:
        """The lowest open layer: with a fixed layer order the only one."""
        return int(self.layers.open.argmax())

    @property
    def left_s(self) -> float:
        """Simulated time that is left: then the process is over, and a hop under way stops."""
        return max(0.0, self.budget.time_s - self.clock_s)

    @property
    def needed_bytes(self) -> Floats:
        """[n_nodes, n_middle]: memory that a hop would take, with the teacher of a node that would distil."""
        own = self.layers.memory_bytes if self.adapters is None else self.adapters.memory_bytes
        kept = self.nodes.samples[:, None] * self.layers.kept_bytes
        return own + kept + self.nodes.teacher_bytes[:, None] + self.bytes_beside

    @property
    def fits(self) -> Bools:
        """[n_nodes, n_middle]: whether the node has the memory to train the layer."""
        fits: Bools = self.nodes.memory_bytes[:, None] >= self.needed_bytes
        return fits

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.legal)

    @property
    def n_middle(self) -> int:
        """Number of middle layers."""
        return len(self.layers.flops)
