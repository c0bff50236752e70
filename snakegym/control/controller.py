"""The Process Controller: the state machine of one training process.

Snake Learning: A Communication- and Computation-Efficient Distributed Learning Framework for 6G,
DOI 10.1109/MCOM.005.2400282, names its duties: node management, layer assignment and scheduling,
communication management. Deciding is left to a scheduler; this class offers what there is to
decide (`view`), turns a decision into work (`dispatch`) and books what came of it (`complete`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snakegym.control.caches import LayerCaches
from snakegym.control.cycle import CycleProgress
from snakegym.control.pool import NodePool
from snakegym.control.records import PCE, Assignment, Costs, Hop, Job, Outcome, Transfer
from snakegym.control.view import Bools, Floats, LayersView, NodesView, ProcessView
from snakegym.data.datasets import Dataset
from snakegym.data.divergence import js_distance
from snakegym.errors import SnakegymError
from snakegym.learning.jobs import LocalTraining
from snakegym.models.profile import ModelProfile
from snakegym.models.state import ModelState
from snakegym.network.network import Network
from snakegym.scenario import Scenario

RECENT_GAINS = 8
"""How many gains the view remembers."""
LABEL_MEMORY = 0.7
"""Weight of the past in the running mean of the labels trained."""


@dataclass(frozen=True)
class NodeData:
    """What the nodes hold: sample indices into the training part, and their label distributions.

    Immutable: copies share it.
    """

    train: Dataset
    indices: tuple[Tensor, ...]
    """Per node int64 [n_samples]."""
    labels: Floats
    """[n_nodes, n_classes]: share of each label, rows sum to 1."""

    def __deepcopy__(self, memo: dict[int, Any]) -> NodeData:
        return self


class ProcessController:
    """One process: model, caches, cycle, clock and accounts.

    Args:
        scenario: the rules (mode, layer order, budgets, learning, objective).
        profile: sizes and FLOPs of the model's layers.
        network: the nodes and their traces; only present and past are ever looked at.
        data: the samples on the nodes.
        state: initial model.
        metric: validation accuracy of the initial model, in [0, 1].
        rng: seeds local training and random layer orders.
    """

    def __init__(
        self,
        scenario: Scenario,
        profile: ModelProfile,
        network: Network,
        data: NodeData,
        state: ModelState,
        metric: float,
        rng: np.random.Generator,
    ) -> None:
        self.scenario = scenario
        self.network = network
        self.state = state
        self.metric = metric
        self.clock_s = 0.0
        self.spent = Costs()
        self.waits = 0
        self.history: list[Hop] = []
        self.caches = LayerCaches(network.n_nodes, profile.n_bytes)
        self.cycle = CycleProgress(profile.n_middle, scenario.process, rng)
        self.pool = NodePool(network)
        self._data = data
        self._rng = rng
        self._holder = PCE
        self._running: Job | None = None
        self._view: ProcessView | None = None
        self._samples = np.array([len(i) for i in data.indices])
        self._recent_labels = np.average(data.labels, axis=0, weights=self._samples)
        learning = scenario.learning
        self._layer_flops = profile.training_flops()
        self._layer_memory = profile.hop_memory(learning)

    def reseed(self, seed: int) -> None:
        """Draw whatever is random from here on (sample order of local training) from `seed`."""
        self._rng = np.random.default_rng(seed)

    @property
    def ended(self) -> str:
        """Why the process is over: `target`, `time`, `energy` or `hops`; empty while it goes on."""
        process = self.scenario.process
        budget = process.budget
        if process.target is not None and self.metric >= process.target:
            return "target"
        if self.clock_s >= budget.time_s:
            return "time"
        if budget.energy_j is not None and self.spent.energy_j >= budget.energy_j:
            return "energy"
        if budget.hops is not None and len(self.history) >= budget.hops:
            return "hops"
        return ""

    def view(self) -> ProcessView:
        """Snapshot for the next decision; the same object until something happens."""
        if self._view is None:
            self._view = self._look()
        return self._view

    def dispatch(self, assignment: Assignment) -> Job:
        """Begin a hop: what the assigned node has to receive, train and send.

        Raises:
            SnakegymError: the assignment is not legal now, or a hop is still under way.
        """
        if self._running is not None:
            raise SnakegymError(f"{self._running.assignment} is still under way: complete it first")
        node, layer = assignment.node, assignment.layer
        legal = self.view().legal
        if not (0 <= node < legal.shape[0] and 0 <= layer < legal.shape[1] and legal[node, layer]):
            raise SnakegymError(f"{assignment} is not legal now: expected one of view().legal")
        training = LocalTraining(
            state=self.state,
            middle=layer,
            data=self._data.train,
            indices=self._data.indices[node],
            config=self.scenario.learning,
            learning_rate=self.scenario.learning.learning_rate
            * self.scenario.learning.decay**self.cycle.index,
            seed=int(self._rng.integers(2**31)),
        )
        client_server = self.scenario.network.mode == "cs"
        upload = Transfer(node, PCE, self.caches.trained_bytes(layer)) if client_server else None
        self._running = Job(
            assignment=assignment,
            start_s=self.clock_s,
            receive=Transfer(self._holder, node, self.caches.missing_bytes(node)),
            flops=float(self._layer_flops[layer]) * training.n_samples,
            send=upload,
            training=training,
            metric=self.metric,
        )
        return self._running

    def complete(self, job: Job, outcome: Outcome) -> Hop:
        """Book the outcome of the job under way: model, caches, cycle, clock, accounts.

        Raises:
            SnakegymError: `job` is not the one under way.
        """
        if job is not self._running:
            raise SnakegymError("this job is not under way: complete takes the job that dispatch gave last")
        node, layer = job.assignment.node, job.assignment.layer
        received = outcome.phases.interrupted != "receive"
        self.caches.book(
            node, layer, received=received, trained=outcome.batches > 0, delivered=outcome.delivered
        )
        hop = self._record(job, outcome)
        if outcome.delivered:
            self.state, self.metric = outcome.state, outcome.metric
            self._recent_labels = (
                LABEL_MEMORY * self._recent_labels + (1 - LABEL_MEMORY) * self._data.labels[node]
            )
            self.cycle.trained(layer, hop.gain)
            if self.scenario.network.mode == "p2p":
                self._holder = node
        self.pool.book(hop)
        self.history.append(hop)
        self._advance(hop.costs)
        self._running = None
        return hop

    def wait(self) -> Costs:
        """Let the scenario's `wait_s` pass; costs time alone."""
        if self._running is not None:
            raise SnakegymError(f"{self._running.assignment} is still under way: complete it first")
        costs = Costs(time_s=self.scenario.process.wait_s)
        self.waits += 1
        self._advance(costs)
        return costs

    def _advance(self, costs: Costs) -> None:
        self.spent = self.spent + costs
        self.clock_s += costs.time_s
        self._view = None

    def _record(self, job: Job, outcome: Outcome) -> Hop:
        return Hop(
            index=len(self.history),
            cycle=self.cycle.index,
            assignment=job.assignment,
            sender=job.receive.sender,
            start_s=job.start_s,
            phases=outcome.phases,
            delivered=outcome.delivered,
            batches=outcome.batches,
            loss=outcome.loss,
            metric=outcome.metric,
            gain=outcome.metric - self.metric,
        )

    def _look(self) -> ProcessView:
        nodes = self._look_at_nodes()
        open_layers = self.cycle.open_layers()
        process = self.scenario.process
        view = ProcessView(
            nodes=nodes,
            layers=LayersView(
                flops=self._layer_flops,
                n_bytes=self.caches.layer_bytes[1:-1],
                memory_bytes=self._layer_memory,
                times_trained=self.cycle.times_trained.copy(),
                trained_in_cycle=self.cycle.trained_in_cycle.copy(),
                open=open_layers,
                last_gain=self.cycle.last_gain.copy(),
            ),
            legal=self._legal(nodes, open_layers),
            held=self.caches.held(),
            layer_bytes=self.caches.layer_bytes,
            mode=self.scenario.network.mode,
            layer_order=process.layer_order,
            repeat_layers=process.repeat_layers,
            holder=self._holder,
            clock_s=self.clock_s,
            hops=len(self.history),
            cycle=self.cycle.index,
            metric=self.metric,
            recent_gains=tuple(hop.gain for hop in self.history[-RECENT_GAINS:]),
            spent=self.spent,
            budget=process.budget,
            objective=self.scenario.objective,
            epochs=self.scenario.learning.epochs,
            wait_s=process.wait_s,
        )
        for part in (view, view.nodes, view.layers):
            _freeze(part)
        return view

    def _look_at_nodes(self) -> NodesView:
        network = self.network
        now = network.measure(self.clock_s, self.scenario.network.measure_window_s)
        in_pool = self.pool.members()
        up = (now.availability > 0) & (now.uplink_bps > 0) & (now.downlink_bps > 0)
        return NodesView(
            availability=now.availability,
            mean_availability=now.mean_availability,
            peak_flops=network.peak_flops,
            uplink_bps=now.uplink_bps,
            downlink_bps=now.downlink_bps,
            mean_uplink_bps=now.mean_uplink_bps,
            mean_downlink_bps=now.mean_downlink_bps,
            rtt_s=network.rtt_s,
            memory_bytes=network.memory_bytes,
            compute_power_w=network.compute_power_w,
            radio_power_w=network.radio_power_w,
            battery=self.pool.battery(),
            samples=self._samples,
            divergence=js_distance(self._data.labels, self._recent_labels),
            visits=self.pool.visits.copy(),
            interruptions=self.pool.interruptions.copy(),
            last_gain=self.pool.last_gain.copy(),
            missing_bytes=self.caches.missing_bytes_of_all(),
            in_pool=in_pool,
            reachable=in_pool & up,
        )

    def _legal(self, nodes: NodesView, open_layers: Bools) -> Bools:
        able = nodes.reachable
        if self._holder != PCE and not nodes.reachable[self._holder]:
            # Nobody can fetch the model now; only its holder could go on with it.
            able = able & (np.arange(len(able)) == self._holder)
        fits: NDArray[np.bool_] = nodes.memory_bytes[:, None] >= self._layer_memory[None, :]
        return fits & able[:, None] & open_layers[None, :]


def node_data(train: Dataset, indices: list[NDArray[np.int64]]) -> NodeData:
    """The nodes' data from a partition of `train` (every node at least one sample)."""
    labels = train.targets.numpy()
    counts = np.stack([np.bincount(labels[i], minlength=train.n_classes) for i in indices])
    shares = counts / counts.sum(axis=1, keepdims=True)
    return NodeData(train, tuple(torch.from_numpy(i) for i in indices), shares)


def _freeze(view: object) -> None:
    for value in vars(view).values():
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
