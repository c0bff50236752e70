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

from snakegym.control.clock import Clock, SimulatedClock, not_beyond
from snakegym.control.dispatch import make_job, team_of, why_over
from snakegym.control.look import RECENT_GAINS, fixed_part, look_at, with_legal
from snakegym.control.nodes.holdings import Holdings
from snakegym.control.nodes.managers import LocalManagers
from snakegym.control.nodes.pool import NodePool
from snakegym.control.outcomes import booked, finished_hop, nothing_heard
from snakegym.control.progress.caches import caches_of
from snakegym.control.progress.checkpoint import ProcessCheckpoint, reading
from snakegym.control.progress.cycle import CycleProgress
from snakegym.control.progress.pairs import PairRecords
from snakegym.control.progress.plain import keep, keep_records, kept, records_of
from snakegym.control.progress.whereabouts import Progress, Whereabouts
from snakegym.control.records import Assignment, Hop, Job, Outcome, Recovery
from snakegym.control.view import Bools, ProcessView
from snakegym.errors import SnakegymError
from snakegym.models.profile import ModelProfile
from snakegym.models.state import ModelState
from snakegym.models.store import LayerStore
from snakegym.network.network import Monitor
from snakegym.network.records import PCE, Costs
from snakegym.scenario import Scenario

_PLAIN = ("clock_s", "hops", "waits", "finished")


class ProcessController:
    """One process: where the model is, caches, cycle, pool, clock and accounts.

    In P2P mode the model is where it was trained last. If that holder is out of reach for longer than
    the scenario's `pool.recovery_s`, or its battery is flat, the process goes back to an earlier copy
    (`Whereabouts`). A holder that has only left the pool still hands the model on.

    Args:
        scenario: the rules (mode, layer order, budgets, learning, objective).
        profile: sizes and FLOPs of the model's layers.
        network: the nodes; what it measures is present and past.
        data: how many samples the nodes hold, and of which labels.
        state: initial model, as the PCE has it; or the PCE's store, with that model as version 0.
        metric: validation accuracy of the initial model, in [0, 1].
        rng: seeds local training and random layer orders.
        clock: tells the time.

    Attributes:
        clock_s: time of the process, s.
        spent: costs so far.
        hops: how many were booked.
        waits: how often it waited.
        finished: whether somebody ended it.
        history: the hops so far, or since `trim`.
        pool, caches, managers: what is known of the nodes.
    """

    def __init__(
        self,
        scenario: Scenario,
        profile: ModelProfile,
        network: Monitor,
        data: Holdings,
        state: ModelState | LayerStore,
        metric: float,
        rng: np.random.Generator,
        clock: Clock | None = None,
    ) -> None:
        self.scenario = scenario
        self.network = network
        self._clock = clock or SimulatedClock()
        self.clock_s, self.spent = 0.0, Costs()
        self.hops, self.waits, self.finished = 0, 0, False
        self.history: list[Hop] = []
        self._pairs = PairRecords(network.n_nodes, profile.n_middle)
        self._peer_to_peer = scenario.network.mode == "p2p"
        self.managers = LocalManagers(scenario, profile, network, data)
        self.caches = caches_of(scenario, profile, network.n_nodes, self.managers.adapter_bytes)
        smallest = float(self.managers.smallest_memory)
        self.pool = NodePool(network, scenario.pool, smallest, scenario.learning.epochs, rng)
        cycle = CycleProgress.start(profile.n_middle, scenario.process, rng)
        initial = Progress(metric, cycle, self.managers.labels.mean, self.caches.current)
        store = LayerStore.of(state) if isinstance(state, ModelState) else state
        self._model = Whereabouts(initial, store, scenario.pool.recovery_s)
        self._rng = rng
        self._fixed = fixed_part(scenario, self.caches, profile.teacher_flops(data.n_validation))
        self._running: Job | None = None
        self._view: ProcessView | None = None
        self._now = network.measure(0.0, scenario.network.measure_window_s)
        self.pool.review(self._now, 0.0)

    def reseed(self, seed: int) -> None:
        """Draw whatever is random from here on (sample order, random layer orders) from `seed`."""
        self._rng.bit_generator.state = np.random.default_rng(seed).bit_generator.state

    @property
    def progress(self) -> Progress:
        """The model that the process goes on with, and all that belongs to it."""
        return self._model.progress

    @property
    def state(self) -> ModelState:
        """The model that the process goes on with. Raises SnakegymError if only nodes have it."""
        return self._model.state

    @property
    def store(self) -> LayerStore:
        """The layers that the PCE has; in a simulation those that anybody has."""
        return self._model.store

    @property
    def metric(self) -> float:
        """Validation accuracy of the model as measured last, in [0, 1]."""
        return self.progress.metric

    @property
    def cycle(self) -> CycleProgress:
        """How far the layers are."""
        return self.progress.cycle

    @property
    def recoveries(self) -> Sequence[Recovery]:
        """The times that a holder was given up, or those since `trim`."""
        return self._model.recoveries

    @property
    def ended(self) -> str:
        """Why the process is over: `finish`, or as `dispatch.why_over` says; empty while it goes on."""
        if self.finished:
            return "finish"
        return why_over(self.scenario.process, self.spent, self.hops, self.waits, self.metric)

    def view(self) -> ProcessView:
        """Snapshot for the next decision; the same object until something happens."""
        if self._view is None:
            self._view = self._look()
        return self._view

    def dispatch(self, assignment: Assignment) -> Job:
        """Begin a hop: what the assigned node has to receive, train and send.

        Raises:
            SnakegymError: the assignment is not legal now, companions included, or a hop is still under way.
        """
        self._check_idle()
        others = team_of(self.view(), assignment)[1:]
        number = self.caches.next_number()
        own = self._job(number, assignment)  # its seed is drawn first
        along = tuple(self._job(number, replace(own.assignment, node=n, companions=None)) for n in others)
        self._running = replace(own, companions=along)
        return self._running

    def complete(self, job: int, outcome: Outcome) -> Hop:
        """Book the outcome of the job under way, given its id: model, caches, cycle, clock, accounts.

        Where the hop is booked already, it is the answer, and nothing is booked twice.

        Raises:
            SnakegymError: the process has had no such job, or that was before `trim`.
        """
        running = self._running
        if running is None or running.id != job:
            return booked(self.history, job)
        hop = finished_hop(running, outcome, index=self.hops, cycle=self.cycle.index)
        self.caches.book(hop.assignment.layer, hop.parts, job, hop.assignment.rank)
        self.managers.beside = self.caches.bytes_beside
        self._book_model(running, outcome, hop)
        self.pool.book(hop)
        self.history.append(hop)
        self.hops += 1
        self._pairs.book(hop)
        self._advance(hop.costs)
        self._running = None
        return hop

    def abandon(self, job: int, reason: str, after_s: float = 0.0) -> Hop:
        """Book, as `complete`, that nothing was heard of the job for so long, and is not waited for any more.

        What the nodes hold counts as what it was (see `forget`); an outcome that comes after all is ignored.
        """
        running = self._running
        if running is None or running.id != job:
            return booked(self.history, job)
        return self.complete(job, nothing_heard(running, reason, after_s))

    def forget(self, node: int) -> None:
        """A node has lost what it held; if the model was there, the process goes back to a copy of it."""
        self.caches.forget(node)
        self._model.forget(node)
        if self._running is None:  # else when that is booked
            self._advance(Costs())

    def brought_home(self, costs: Costs) -> None:
        """P2P: the store was given all that it lacked of the model, at that cost; the PCE hands it on.

        Raises:
            SnakegymError: the store has no such model, or a hop is under way.
        """
        self._check_idle()
        self.store.state(self.progress.model)
        self._model.brought_home()
        self.caches.sent_to_pce()
        self._advance(costs)

    def wait(self) -> Costs:
        """Let the scenario's `wait_s` pass, or what is left of the budget; costs time alone."""
        self._check_idle()
        costs = Costs(time_s=min(self.scenario.process.wait_s, self.view().left_s))
        self.waits += 1
        self._advance(costs)
        return costs

    def finish(self) -> Costs:
        """End the process as it is, at no cost. Raises SnakegymError: a hop is under way."""
        self._check_idle()
        self.finished = True
        return Costs()

    def trim(self) -> None:
        """Forget what is past but for the last hops: `history`, `recoveries`, `pool.events`.

        For processes that go on for long, and are told of elsewhere: what it takes to keep one in memory and
        in a checkpoint does not grow then. Nothing that the process does depends on it.
        """
        del self.history[:-RECENT_GAINS]
        self._model.recoveries.clear()
        self.pool.events.clear()

    def checkpoint(self) -> ProcessCheckpoint:
        """All that the process carries from hop to hop. Raises SnakegymError: a hop is under way."""
        self._check_idle()
        layers, model = self._model.checkpoint()
        journal = {
            **keep(self, _PLAIN),
            "spent": asdict(self.spent),
            "model": model,
            "history": keep_records(self.history),
            "pairs": self._pairs.checkpoint(),
            "rng": self._rng.bit_generator.state,
            "caches": self.caches.checkpoint(),
            "pool": self.pool.checkpoint(),
        }
        return ProcessCheckpoint(layers, journal)

    def restore(self, checkpoint: ProcessCheckpoint) -> None:
        """Go on, bit by bit the same, where a process with the same arguments was.

        Raises:
            SnakegymError: the checkpoint is of a process with other nodes or layers, or damaged.
        """
        plain = checkpoint.journal
        model, caches = copy.copy(self._model), copy.copy(self.caches)  # all or nothing
        pairs = copy.copy(self._pairs)
        pool, rng = copy.deepcopy((self.pool, self._rng))
        with reading():
            model.restore(checkpoint.layers, plain["model"], self.network.n_nodes)
            pool.restore(plain["pool"])
            caches.restore(plain["caches"])
            rng.bit_generator.state = plain["rng"]
            history = records_of(Hop, plain["history"])
            pairs.restore(plain["pairs"])
            counted = kept(self, _PLAIN, plain)
            spent = Costs(**kept(self.spent, ("time_s", "energy_j", "n_bytes"), plain["spent"]))
        self._model, self.pool, self.caches, self._rng = model, pool, caches, rng
        self.history, self.spent, self._pairs = history, spent, pairs
        self.clock_s, self.hops, self.waits, self.finished = counted.values()
        self._follow()
        self._now = self.network.measure(self.clock_s, self.scenario.network.measure_window_s)
        self._running = self._view = None

    def _check_idle(self) -> None:
        if self._running is not None:
            raise SnakegymError(f"{self._running.assignment} is still under way: complete it first")

    def _job(self, number: int, assignment: Assignment) -> Job:
        node, layer, rank = assignment.node, assignment.layer, assignment.rank
        training = self.managers.training(node, layer, self.cycle.index, self._rng, rank)
        view, caches = self.view().at_rank(rank), self.caches
        versions, holds, at_pce = self.progress.model, caches.of_node(node), caches.of_node(PCE)
        since = caches.since(pce=view.evaluation == "pce")
        return make_job(view, assignment, training, number, versions, holds, at_pce, since)

    def _book_model(self, job: Job, outcome: Outcome, hop: Hop) -> None:
        """The model as it is after the hop, and who has it."""
        model, layer = self._model, job.assignment.layer
        if hop.delivered:
            self.managers.remember([part for part in hop.parts if part.delivered])
            model.progress = Progress(
                metric=outcome.metric,
                cycle=self.cycle.trained(layer, hop.gain, self._rng),
                labels=self.managers.labels.mean,
                versions=self.caches.current,
                hops=self.progress.hops + 1,
            )
        elif outcome.goes_on:
            model.progress = replace(self.progress, cycle=self.cycle.passed(layer, self._rng))
        if not self._peer_to_peer:
            self.caches.sent_to_pce()
        elif outcome.phases.interrupted != "receive":
            reported = hop.delivered and job.send is not None and hop.phases.update_sent
            model.received(job.assignment.node, hop, reported=reported)
            if reported:
                self.caches.sent_to_pce()
        model.take_in(outcome.layers)

    def _advance(self, costs: Costs) -> None:
        """Let time pass, then look at the nodes again: the pool changes between decisions, never in one."""
        now_s = self._clock.after(self.clock_s, costs.time_s)
        self.clock_s = not_beyond(now_s, self.scenario.process.budget.time_s)
        self.spent = replace(self.spent + costs, time_s=self.clock_s)
        self._now = self.network.measure(self.clock_s, self.scenario.network.measure_window_s)
        self.pool.review(self._now, self.clock_s)
        if self._peer_to_peer and self._model.holder != PCE:
            dead = bool(self.pool.battery[self._model.holder] <= 0)
            if self._model.give_up(self._reachable(), dead, self.clock_s):
                self._follow()
                self.caches.went_back()
        self._view = None

    def _follow(self) -> None:
        """Caches and managers follow the model."""
        self.caches.current = self.progress.versions
        self.managers.beside = self.caches.bytes_beside
        self.managers.go_on_from(self.progress.labels)

    def _reachable(self) -> Bools:
        """[n_nodes]: nodes that could hand something on, members of the pool or not."""
        return self._now.up & (self.pool.battery > 0)

    def _look(self) -> ProcessView:
        known = look_at(self.network, self._now, self.pool, self.managers, self.caches, self.progress)
        view = ProcessView(
            **self._fixed,
            **known,
            pairs=self._pairs.view,
            holder=self._model.holder,
            clock_s=self.clock_s,
            hops=self.hops,
            waits=self.waits,
            recent_gains=tuple(hop.gain for hop in self.history[-RECENT_GAINS:]),
            spent=self.spent,
        )
        return with_legal(view, self._model.can_send(self._reachable()))
