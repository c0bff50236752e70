"""A job carried out on real nodes: from what they report to an outcome."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from typing import TypeVar

from snakegym.cluster.monitor import MeasuredNodes
from snakegym.cluster.parcels import Layers, Parcel, Patch, Patches, packed, unpacked
from snakegym.cluster.reach import Reach
from snakegym.cluster.statements import Lost, Refused, Report
from snakegym.control.controller import ProcessController
from snakegym.control.execution.engines import ProcessComputationEngine, samples_used
from snakegym.control.outcomes import own_part
from snakegym.control.records import Job, Outcome, Part
from snakegym.errors import SnakegymError
from snakegym.learning.aggregation import shares
from snakegym.learning.jobs import TrainingResult
from snakegym.models.state import ModelState
from snakegym.models.store import Key, Need, changes
from snakegym.network import costs
from snakegym.network.records import PCE, Phases

Found = TypeVar("Found")
LOOK_S = 0.05
"""Between two looks at whether a node that is waited for is alive."""
COLLECT_S = 60.0
"""For the model to come from its holder, when all is over."""


@dataclass(frozen=True)
class _Done:
    """What came of one node's part."""

    report: Report
    update: Layers
    patches: Mapping[Key, Patch]
    phases: Phases


class NodesExecutor:
    """An `Executor` on nodes that train for real. What it cannot have raises Lost or Refused from the future.

    In P2P mode layers go from node to node; here come only those that the PCE is to have.

    Args:
        controller: of the process, on `MeasuredNodes`.
        reach: of a seat; raises KeyError for one that is empty.
        pce: averages and evaluates.
        like: a model of the process: names, shapes and types.
        now: the time of the monitor, s.
        patience_s: how long a hop may take: gets the job, gives seconds.
        patches: the adapters that the PCE has kept so far.
    """

    def __init__(
        self,
        controller: ProcessController,
        reach: Callable[[int], Reach],
        pce: ProcessComputationEngine,
        like: ModelState,
        now: Callable[[], float],
        patience_s: Callable[[Job], float],
        patches: Patches | None = None,
    ) -> None:
        self._controller, self._reach, self.pce = controller, reach, pce
        if not isinstance(controller.network, MeasuredNodes):
            raise SnakegymError("found a process on a simulated network, expected one on measured nodes")
        self._monitor, self._now, self._patience_s = controller.network, now, patience_s
        self._like, self._patches = like, Patches() if patches is None else patches
        self._pool = ThreadPoolExecutor(1, "hop")
        self.engine = pce.engine

    def submit(self, job: Job) -> Future[Outcome]:
        """Begin; Lost: nothing is heard of it any more; Refused: what came is not taken."""
        return self._pool.submit(self.run, job)

    def run(self, job: Job) -> Outcome:
        """Have it done, and wait for it. Raises Lost, Refused, or what a node raised."""
        end = time.monotonic() + self._patience_s(job)
        self._patches.keep(job.versions, job.since)
        begun = [(member, *self._begin(member)) for member in job.members]
        done: list[_Done | None] = []
        for member, report, update in begun:
            try:
                done.append(self._finish(member, report, update, end))
            except SnakegymError:
                if len(begun) == 1:
                    raise
                done.append(None)  # the others' updates count
        return self._outcome(job, done)

    def collect(self) -> ModelState:
        """The model that the process goes on with, from wherever it lies. Raises Lost."""
        self.bring_home()
        return self._controller.state

    def bring_home(self) -> int:
        """Have the PCE sent what it lacks of that model: so many bytes. Raises Lost."""
        controller, versions = self._controller, self._controller.progress.model
        if controller.store.has(versions):
            return 0
        rows = zip(versions, controller.caches.of_node(PCE), controller.caches.since(pce=True), strict=True)
        needs = tuple(Need(i, *row) for i, row in enumerate(rows) if (i, row[0]) not in controller.store)
        holder = controller.view().holder
        parcel = self._wait(self._at(holder).fetch(needs), (holder,), time.monotonic() + COLLECT_S)
        controller.store.put(self._unpacked(parcel, needs, holder))
        self._patches.put(parcel.patches)
        return parcel.n_bytes

    def _unpacked(self, parcel: Parcel, needs: Sequence[Need], seat: int) -> Layers:
        return unpacked(parcel, needs, self._controller.store, self._like, f"the node on seat {seat}", seat)

    def _at(self, seat: int) -> Reach:
        try:
            return self._reach(seat)
        except KeyError:
            raise Lost(f"nobody sits on seat {seat} any more", seat) from None

    def _begin(self, job: Job) -> tuple[Future[Report], Future[Parcel]]:
        sender, needs = job.receive.sender, job.needs
        source: Reach | Parcel = Parcel()
        if needs:
            here = sender == PCE
            source = packed(needs, self._controller.store, self._patches) if here else self._at(sender)
        return self._at(job.assignment.node).begin(job, source)

    def _finish(self, job: Job, report: Future[Report], update: Future[Parcel], end: float) -> _Done:
        node, sender = job.assignment.node, job.receive.sender
        ends = (node,) if sender == PCE or not job.fetch else (node, sender)
        said = self._wait(report, ends, end)
        done_s = self._now()
        start = time.perf_counter()
        came = self._wait(update, (node,), end) if job.upload else Parcel()
        send_s = time.perf_counter() - start if job.upload else 0.0
        trained = self._controller.caches.trained.of(job.assignment.layer)
        layers = self._unpacked(came, job.uploaded(trained), node)
        if not math.isfinite(said.loss) and said.batches:
            raise Refused(f"the node on seat {node}: found a loss of {said.loss}, expected a number", node)
        self._monitor.moved(sender, node, said.received_bytes, said.receive_s)
        flops = job.flops * said.batches / job.training.n_batches
        self._monitor.trained(node, flops, said, done_s)
        n_bytes = said.received_bytes + came.n_bytes
        return _Done(said, layers, came.patches, self._phases(job, said, n_bytes, send_s, done_s))

    def _wait(self, future: Future[Found], seats: Sequence[int], end: float) -> Found:
        """What comes of it, as long as those seats are alive and it is not too late."""
        while True:
            try:
                return future.result(LOOK_S)
            except NotYet:
                pass
            for seat in seats:
                if not self._monitor.alive(seat, self._now()):
                    raise Lost(f"the node on seat {seat} is not heard of any more", seat)
            if time.monotonic() > end:
                raise Lost(f"the node on seat {seats[0]} was waited for too long", seats[0])

    def _phases(self, job: Job, said: Report, sent: int, send_s: float, done_s: float) -> Phases:
        """What was measured; energy is the power that nodes state times time: of compute, our share of it."""
        node, sender, network = job.assignment.node, job.receive.sender, self._monitor
        radio, compute = float(network.radio_power_w[node]), float(network.compute_power_w[node])
        computed_s = said.compute_s + said.evaluate_s
        busy_s = computed_s * network.free(node, done_s - computed_s, done_s)
        sender_w = 0.0 if sender == PCE else float(network.radio_power_w[sender])
        return Phases(
            receive_s=said.receive_s,
            compute_s=said.compute_s,
            send_s=send_s,
            bytes_sent=sent,
            bytes_received=sent,
            node_energy_j=costs.compute_energy(compute, busy_s)
            + costs.radio_energy(radio, said.receive_s + send_s),
            sender_energy_j=costs.radio_energy(sender_w, said.receive_s),
            trained_share=said.batches / job.training.n_batches,
            evaluate_s=said.evaluate_s,
        )

    def _outcome(self, job: Job, done: Sequence[_Done | None]) -> Outcome:
        parts = [_part(member, d) for member, d in zip(job.members, done, strict=True)]
        own = done[0]
        layers: Layers = {}
        metric, measured = job.metric, False
        if job.mode == "cs":
            before = self._controller.store.state(job.versions)
            results = [
                TrainingResult(
                    before if d is None else before.replace({i: layer for (i, _), layer in d.update.items()}),
                    0 if d is None else d.report.batches,
                    math.nan if d is None else d.report.loss,
                )
                for d in done
            ]
            after = self.pce.aggregate(job, parts, results)
            if after is not None:
                layers = changes(before, after, job.id)
                self._patches.put(_patches_of(job, parts, done))
                metric, measured = self.pce.evaluate([after])[0], True
        elif own is not None and job.upload:
            layers, versions = own.update, list(job.versions)
            self._patches.put(own.patches)
            for layer, version in layers:
                versions[layer] = version
            metric, measured = self._evaluated(layers, tuple(versions)), True
        elif own is not None and own.report.metric is not None:
            metric, measured = _checked(own.report.metric, job.assignment.node), True
        return Outcome(
            phases=parts[0].phases,
            delivered=parts[0].delivered,
            batches=parts[0].batches,
            loss=math.nan if own is None or not own.report.batches else own.report.loss,
            metric=metric,
            layers=layers,
            companions=tuple(parts[1:]),
            measured=measured,
        )

    def _evaluated(self, layers: Layers, versions: tuple[int, ...]) -> float:
        """Of the model that these layers complete, with what the PCE has."""
        store = self._controller.store
        kept = store.take(key for key in enumerate(versions) if key not in layers)
        state = ModelState(tuple(layers.get(key) or kept[key] for key in enumerate(versions)))
        return self.pce.evaluate([state])[0]


def _patches_of(job: Job, parts: Sequence[Part], done: Sequence[_Done | None]) -> dict[Key, Patch]:
    """What makes the layers after the hop of those before it, where all nodes sent adapters alone."""
    came = [d.patches for part, d in zip(parts, done, strict=True) if part.delivered and d is not None]
    if len(came) == 1:
        return dict(came[0])
    weights, found = tuple(shares(samples_used(job, parts))), {}
    for key in set[Key]().union(*came):
        own = [patches[key] for patches in came if key in patches and len(patches[key].parts) == 1]
        if len(own) == len(came):
            found[key] = Patch(job.versions[key[0]], tuple(patch.parts[0] for patch in own), weights)
    return found


def _part(job: Job, done: _Done | None) -> Part:
    if done is None:
        silent = Phases(trained_share=0.0, interrupted="receive", update_sent=False)
        return own_part(job, silent, False, 0)
    return own_part(job, done.phases, done.report.batches > 0, done.report.batches)


def _checked(metric: float, seat: int) -> float:
    if not 0 <= metric <= 1:
        raise Refused(f"the node on seat {seat}: found a metric of {metric}, expected a share", seat)
    return metric
