"""The Process Controller: the state machine of one training process.

Snake Learning: A Communication- and Computation-Efficient Distributed Learning Framework for 6G,
DOI 10.1109/MCOM.005.2400282, names its duties: node management, layer assignment and scheduling,
communication management. Deciding is left to a scheduler; this class offers what there is to
decide (`view`), turns a decision into work (`dispatch`) and books what came of it (`complete`).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np

from snakegym.arrays import read_only
from snakegym.control.caches import LayerCaches
from snakegym.control.checkpoint import ProcessCheckpoint, Shelf
from snakegym.control.copies import Copy, ModelCopies, Progress
from snakegym.control.cycle import CycleProgress
from snakegym.control.forecast import companions
from snakegym.control.holdings import NodeData, RecentLabels
from snakegym.control.look import fitting, legal_assignments, look_at_layers, look_at_nodes
from snakegym.control.plain import keep_records, records_of
from snakegym.control.pool import NodePool
from snakegym.control.records import Assignment, Hop, Job, Outcome, Recovery, finished_hop
from snakegym.control.teaching import Teaching
from snakegym.control.view import ProcessView
from snakegym.errors import SnakegymError
from snakegym.learning.jobs import LocalTraining
from snakegym.models.profile import ModelProfile
from snakegym.models.state import ModelState
from snakegym.network.network import Network
from snakegym.network.records import PCE, Costs, Transfer
from snakegym.scenario import Scenario

RECENT_GAINS = 8
"""How many gains the view remembers."""


class ProcessController:
    """One process: model, caches, cycle, pool, clock and accounts.

    In P2P mode the model is where it was trained last. If that holder is out of reach for longer than
    the scenario's `pool.recovery_s`, or its battery is flat, the process goes back to the latest copy on
    a node in reach, or else to the PC's initial model; what was trained since is lost, and layers of the
    present cycle among it are open again. A holder that has only left the pool still hands the model on.

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
        self.clock_s = 0.0
        self.spent = Costs()
        self.waits = 0
        self.history: list[Hop] = []
        self.recoveries: list[Recovery] = []
        self.caches = LayerCaches(network.n_nodes, profile.n_bytes)
        self._layer_flops = read_only(profile.training_flops())
        self._layer_memory = read_only(profile.hop_memory(scenario.learning))
        self._layer_bytes = self.caches.layer_bytes[1:-1]
        self.pool = NodePool(
            network, scenario.pool, float(self._layer_memory.min()), scenario.learning.epochs, rng
        )
        self._data = data
        self._rng = rng
        self._holder = PCE
        self._running: Job | None = None
        self._view: ProcessView | None = None
        self._labels = RecentLabels(data)
        cycle = CycleProgress.start(profile.n_middle, scenario.process, rng)
        self.progress = Progress(state, metric, cycle, self._labels.mean, self.caches.current)
        self._copies = ModelCopies(self.progress, scenario.pool.recovery_s)
        self._teaching = Teaching(scenario.learning, profile, data)
        self._teaching.compare(self._labels)
        self._fits = fitting(network.memory_bytes, self._layer_memory, self._teaching.n_bytes)
        self._now = network.measure(0.0, scenario.network.measure_window_s)
        self.pool.review(self._now, 0.0)

    def reseed(self, seed: int) -> None:
        """Draw whatever is random from here on (sample order, random layer orders) from `seed`."""
        self._rng.bit_generator.state = np.random.default_rng(seed).bit_generator.state

    @property
    def state(self) -> ModelState:
        """The model that the process goes on with."""
        return self.progress.state

    @property
    def metric(self) -> float:
        """Validation accuracy of the model as measured last, in [0, 1]."""
        return self.progress.metric

    @property
    def cycle(self) -> CycleProgress:
        """How far the layers are."""
        return self.progress.cycle

    @property
    def ended(self) -> str:
        """Why the process is over: `target`, `time`, `energy` or `hops`; empty while it goes on.

        It goes on at least until something was decided, even if the untrained model meets the target.
        """
        process = self.scenario.process
        budget = process.budget
        if process.target is not None and self.clock_s > 0 and self.metric >= process.target:
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
        self._running = self._job(node, layer, companions(self.view(), node, layer))
        return self._running

    def complete(self, job: Job, outcome: Outcome) -> Hop:
        """Book the outcome of the job under way: model, caches, cycle, clock, accounts.

        Raises:
            SnakegymError: `job` is not the one under way.
        """
        if job is not self._running:
            raise SnakegymError("this job is not under way: complete takes the job that dispatch gave last")
        layer = job.assignment.layer
        hop = finished_hop(job, outcome, index=len(self.history), cycle=self.cycle.index)
        self.caches.book(layer, hop.parts)
        delivered = [part.node for part in hop.parts if part.delivered]
        if delivered:
            self.progress = self._after(hop, outcome, delivered)
            if self._peer_to_peer:
                self._holder = job.assignment.node
        elif job.forced_share is not None:
            self.progress = replace(self.progress, cycle=self.cycle.passed(layer, self._rng))
        if self._peer_to_peer and outcome.phases.interrupted != "receive":
            self._copies.keep(Copy(job.assignment.node, hop.index, self.progress))
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

    def checkpoint(self) -> ProcessCheckpoint:
        """All that the process carries from hop to hop; neither network nor data are in it.

        Raises:
            SnakegymError: a hop is under way.
        """
        if self._running is not None:
            raise SnakegymError(f"{self._running.assignment} is still under way: complete it first")
        shelf = Shelf()
        journal = {
            "progress": shelf.put(self.progress),
            "copies": shelf.put_copies(list(self._copies.of.values())),
            "out_since": self._copies.out_since,
            "holder": self._holder,
            "clock_s": self.clock_s,
            "spent": asdict(self.spent),
            "waits": self.waits,
            "history": keep_records(self.history),
            "recoveries": keep_records(self.recoveries),
            "rng": self._rng.bit_generator.state,
            "caches": self.caches.checkpoint(),
            "pool": self.pool.checkpoint(),
        }
        return ProcessCheckpoint(tuple(shelf.layers), journal)

    def restore(self, checkpoint: ProcessCheckpoint) -> None:
        """Go on, bit by bit the same, where a process with the same arguments was.

        Raises:
            SnakegymError: the checkpoint is of a process with other nodes or layers, or damaged.
        """
        kept, shelf = checkpoint.journal, Shelf(checkpoint.layers)
        pool, caches, rng = copy.deepcopy((self.pool, self.caches, self._rng))  # all or nothing
        try:
            pool.restore(kept["pool"])
            caches.restore(kept["caches"])
            rng.bit_generator.state = kept["rng"]
            history, recoveries = records_of(Hop, kept["history"]), records_of(Recovery, kept["recoveries"])
            spent = Costs(**kept["spent"])
            progress = shelf.take(kept["progress"], self.progress)
            copies = shelf.take_copies(kept["copies"], self.progress)
            out_since, holder, clock_s, waits = (kept[k] for k in ("out_since", "holder", "clock_s", "waits"))
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise SnakegymError(
                f"checkpoint: found {type(error).__name__} at {error}, expected one of a process"
            ) from None
        self.pool, self.caches, self._rng = pool, caches, rng
        self.history, self.recoveries, self.spent = history, recoveries, spent
        self._copies.of, self._copies.out_since = {c.node: c for c in copies}, out_since
        self._holder, self.clock_s, self.waits = holder, clock_s, waits
        self._go_on_with(progress)
        self._now = self.network.measure(self.clock_s, self.scenario.network.measure_window_s)
        self._running = self._view = None

    @property
    def _peer_to_peer(self) -> bool:
        return self.scenario.network.mode == "p2p"

    def _job(self, node: int, layer: int, others: Sequence[int] = ()) -> Job:
        """What `node` has to do, with the jobs of `others` as its companions."""
        learning, forced = self.scenario.learning, self.scenario.process.interrupt
        training = LocalTraining(
            state=self.state,
            middle=layer,
            data=self._data.train,
            indices=self._data.indices[node],
            config=learning,
            learning_rate=learning.rate(self.cycle.index),
            seed=int(self._rng.integers(2**31)),
            distil=bool(self._teaching.on[node]),
        )
        teacher_flops = self._teaching.flops[node] if training.distils else 0.0
        upload = None if self._peer_to_peer else Transfer(node, PCE, self.caches.trained_bytes(layer))
        return Job(
            assignment=Assignment(node, layer),
            start_s=self.clock_s,
            receive=Transfer(self._holder, node, int(self.view().nodes.missing_bytes[node])),
            flops=float(self._layer_flops[layer]) * training.n_samples + teacher_flops,
            send=upload,
            training=training,
            metric=self.metric,
            forced_share=forced.share if forced is not None and forced.layer == layer else None,
            companions=tuple(self._job(other, layer) for other in others),
            teacher_flops=teacher_flops,
        )

    def _advance(self, costs: Costs) -> None:
        """Let time pass, then look at the nodes again: the pool changes between decisions, never in one."""
        self.spent = self.spent + costs
        self.clock_s += costs.time_s
        self._now = self.network.measure(self.clock_s, self.scenario.network.measure_window_s)
        self.pool.review(self._now, self.clock_s)
        if self._peer_to_peer and self._holder != PCE:
            self._check_holder()
        self._view = None

    def _check_holder(self) -> None:
        dead = bool(self.pool.battery[self._holder] <= 0)
        if not self._copies.given_up(self._holder_can_send(), dead, self.clock_s):
            return
        found = self._copies.latest(self._now.up & (self.pool.battery > 0))
        known = {hop for recovery in self.recoveries for hop in recovery.hops}
        lost = set(self.progress.hops) - set(found.progress.hops) - known
        self.recoveries.append(Recovery(self.clock_s, self._holder, found.node, tuple(sorted(lost))))
        self._holder = found.node
        self._go_on_with(found.progress)

    def _go_on_with(self, progress: Progress) -> None:
        """Make this the process's model, with all that belongs to it."""
        self.progress = progress
        self.caches.current = progress.versions
        self._labels.set_mean(progress.labels)
        self._review_teaching()

    def _holder_can_send(self) -> bool:
        """Whether somebody could fetch the model now, be its holder a member of the pool or not."""
        holder = self._holder
        return holder == PCE or bool(self._now.up[holder] and self.pool.battery[holder] > 0)

    def _after(self, hop: Hop, outcome: Outcome, delivered: list[int]) -> Progress:
        """The progress after a hop that brought an update."""
        self._labels.remember(delivered)
        self._review_teaching()
        return Progress(
            state=outcome.state,
            metric=outcome.metric,
            cycle=self.cycle.trained(hop.assignment.layer, hop.gain, self._rng),
            labels=self._labels.mean,
            versions=self.caches.current,
            hops=(*self.progress.hops, hop.index),
        )

    def _review_teaching(self) -> None:
        if self._teaching.compare(self._labels):
            self._fits = fitting(self.network.memory_bytes, self._layer_memory, self._teaching.n_bytes)

    def _look(self) -> ProcessView:
        process, caches, pool = self.scenario.process, self.caches, self.pool
        held = caches.held()
        missing = caches.missing_bytes(held)
        nodes = look_at_nodes(
            self.network, self._now, pool, self._data, self._labels, self._teaching, missing
        )
        layers = look_at_layers(self.cycle, self._layer_flops, self._layer_bytes, self._layer_memory)
        return ProcessView(
            nodes=nodes,
            layers=layers,
            legal=legal_assignments(
                nodes.reachable, self._fits, layers.open, self._holder, self._holder_can_send()
            ),
            held=held,
            layer_bytes=caches.layer_bytes,
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
            parallel=process.parallel,
        )
