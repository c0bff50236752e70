"""A node: its Local Manager, which admits processes, and its Local Computation Engine, which trains."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import torch

from snakegym.cluster.checks import check_layers
from snakegym.cluster.parcels import Parcel, Patch, Patches, packed, unpacked
from snakegym.cluster.statements import LEAST_SHARE, Enrolment, Means, Report
from snakegym.control.records import Job
from snakegym.data.datasets import Dataset
from snakegym.errors import SnakegymError
from snakegym.learning.jobs import Engine, LocalTraining
from snakegym.learning.quantisation import as_handed_on
from snakegym.learning.stacked.engine import make_engine
from snakegym.models.state import ModelState
from snakegym.models.store import LayerStore, Need, changes
from snakegym.models.zoo import build_model
from snakegym.network.records import PCE
from snakegym.scenario import Scenario

FORGOTTEN_S = 120.0
"""A process that was not heard of for so long makes way for another one."""
LOOK_S = 0.05
"""Between two looks at the share of a pace that is had."""
Fetch = Callable[[], Parcel]
"""Gives the layers that a job needs, however long that takes."""


@dataclass(frozen=True)
class Task:
    """What a node has to know of a process to train for it; plain data but for the validation samples."""

    process: str
    seat: int
    """Where the node sits: its index in the process."""
    scenario: Scenario
    validation: Dataset
    """Every node is given it when it enrols, to evaluate on."""
    tells_labels: bool = True
    """Whether the node is asked how many samples of each label it has."""


Data = Callable[[Task], Dataset]
"""The samples that a node has for a process; raises SnakegymError where it has none."""


@dataclass
class _Room:
    """What a node has of one process."""

    task: Task
    engine: Engine
    like: ModelState
    data: Dataset
    store: LayerStore = field(default_factory=lambda: LayerStore(whole=False))
    patches: Patches = field(default_factory=Patches)
    last: tuple[Report, Parcel] | None = None
    cut: int = -1
    """The job that is to stop after the batch that it is at."""
    busy: threading.Lock = field(default_factory=threading.Lock)
    used: float = field(default_factory=time.monotonic)


class Node:
    """What runs on a node. Samples never leave it; of layers it keeps those that a controller counts on.

    Several threads may call it: it trains one hop of a process at a time, and hands layers on meanwhile.

    Args:
        means: what it is.
        data: gives its samples.
        throttle: how many times as long as it takes to compute it is made to take, at least 1: to try things.
        free: gives the share, in [0, 1], that it has of that slower pace at the moment; None: all of it.
    """

    def __init__(
        self, means: Means, data: Data, throttle: float = 1.0, free: Callable[[], float] | None = None
    ) -> None:
        self._throttle, self._free = throttle, free
        self.means, self.life = means, uuid.uuid4().hex
        self._data = data
        self._rooms: dict[str, _Room] = {}

    def enrol(self, task: Task) -> Enrolment:
        """Admit a process: capability, room for another one, and data; again: as it is.

        Raises:
            SnakegymError: it serves as many as it can, or has no samples of that kind; names the node.
        """
        if task.process not in self._rooms:
            if len(self._rooms) >= self.means.slots:
                self._clear()
            if len(self._rooms) >= self.means.slots:
                raise SnakegymError(
                    f"node '{self.means.name}': serves {len(self._rooms)} processes, expected less than "
                    f"{self.means.slots} to admit '{task.process}'"
                )
            self._rooms[task.process] = self._room(task)
        room = self._rooms[task.process]
        room.task = task
        counts: list[int] = []
        if task.tells_labels:
            counts = torch.bincount(room.data.labels, minlength=room.data.n_classes).tolist()
        return Enrolment(len(room.data), tuple(counts), self.life)

    def warm_up(self, process: str) -> None:
        """Train a batch that leaves nothing behind: the first one of a program takes seconds."""
        room = self._of(process)
        config = room.task.scenario.learning.model_copy(update={"epochs": 1})
        rank = None if config.lora is None else config.lora.choices[0]
        one = torch.zeros(1, dtype=torch.int64)
        with room.busy:
            room.engine.train([LocalTraining(room.like, 0, room.data, one, config, 1e-9, 0, rank=rank)])
            room.engine.evaluate([room.like], room.task.validation)

    def release(self, process: str) -> None:
        """Forget the process and all that it left here; one that is not known is no error."""
        self._rooms.pop(process, None)

    def take(self, process: str, needs: Iterable[Need]) -> Parcel:
        """Hand layers on. Raises SnakegymError: one of them is not here."""
        room = self._of(process)
        return packed(needs, room.store, room.patches)

    def hop(self, process: str, job: Job, fetch: Fetch) -> tuple[Report, Parcel]:
        """Receive what the job says is missing, train, evaluate if asked for; the same job again: as before.

        Args:
            process: that the job is of.
            job: plain data.
            fetch: gives the layers of `job.needs`.

        Returns:
            The report, and the layers that the PCE wants.

        Raises:
            Refused: what came, or what was trained, is not fit to go on with.
            SnakegymError: samples or layers are missing.
        """
        room = self._of(process)
        with room.busy:
            if room.last is None or room.last[0].job != job.id:
                room.last = self._hop(room, job, fetch)
            return room.last

    def cut_short(self, process: str, job: int) -> None:
        """Have the training of that job end after the batch that it is at; what is done by then counts."""
        room = self._rooms.get(process)
        if room is not None:
            room.cut = job

    def _hop(self, room: _Room, job: Job, fetch: Fetch) -> tuple[Report, Parcel]:
        if len(room.data) != job.training.samples:
            raise SnakegymError(
                f"node '{self.means.name}': found {len(room.data)} samples, expected "
                f"{job.training.samples}, as when it enrolled"
            )
        start = time.perf_counter()
        needs = job.needs
        received = fetch() if needs else Parcel()
        receive_s = time.perf_counter() - start
        sender = job.receive.sender
        whose, seat = ("the PCE", None) if sender == PCE else (f"the node on seat {sender}", sender)
        room.store.put(unpacked(received, needs, room.store, room.like, whose, seat))
        room.store.keep([*enumerate(job.versions), *enumerate(job.holds)])
        room.patches.put(received.patches)
        room.patches.keep(job.versions, job.since)
        report, update = self._train(room, job)
        return replace(report, received_bytes=received.n_bytes, receive_s=receive_s), update

    def _train(self, room: _Room, job: Job) -> tuple[Report, Parcel]:
        before = room.store.state(job.versions)
        training = job.training.on(before, room.data, torch.arange(len(room.data)))
        training = replace(training, stop=lambda: room.cut == job.id)
        start = time.perf_counter()
        (result,) = room.engine.train([training])
        compute_s = self._slowed(time.perf_counter() - start)
        changed = changes(before, result.state, job.id)
        check_layers(changed, changed, room.like, f"node '{self.means.name}'", job.assignment.node)
        room.store.put(changed)
        own = {(i, job.id): Patch(job.versions[i], (part,)) for i, part in result.adapters.items()}
        room.patches.put(own)
        start = time.perf_counter()
        metric = None
        if job.mode == "p2p" and job.send is None:
            metric = room.engine.evaluate([result.state], room.task.validation)[0].score
        evaluate_s = self._slowed(time.perf_counter() - start)
        report = Report(job.id, result.batches, result.loss, metric, 0, 0.0, compute_s, evaluate_s, self.life)
        wanted = job.uploaded({layer for layer, _ in changed})
        return report, packed(wanted, room.store, room.patches)

    def _slowed(self, seconds: float) -> float:
        """What that time is on this node, which it then has taken."""
        if self._free is None:
            time.sleep((self._throttle - 1) * seconds)
            return self._throttle * seconds
        start = time.perf_counter() - seconds
        left = (self._throttle - self._free()) * seconds
        while left > 0:
            before, share = time.perf_counter(), max(LEAST_SHARE, self._free())
            time.sleep(min(left / share, LOOK_S))
            left -= share * (time.perf_counter() - before)
        return time.perf_counter() - start

    def _room(self, task: Task) -> _Room:
        data = self._data(task)
        if not len(data):
            raise SnakegymError(f"node '{self.means.name}': has no samples, expected at least one")
        validation = task.validation
        tokens = not validation.inputs.is_floating_point()
        shape = tuple(validation.inputs.shape[1:])
        n_outputs = validation.task.n_outputs(validation.n_classes)
        model = build_model(task.scenario.model, shape, n_outputs, tokens=tokens)
        like = as_handed_on(model, model.state(), task.scenario.learning)
        return _Room(task, make_engine(model), like, data)

    def _of(self, process: str) -> _Room:
        room = self._rooms.get(process)
        if room is None:
            raise SnakegymError(
                f"node '{self.means.name}': knows no process '{process}', which has to enrol it"
            )
        room.used = time.monotonic()
        return room

    def _clear(self) -> None:
        """Forget processes of which nothing was heard for long: whoever ran them may be dead."""
        old = time.monotonic() - FORGOTTEN_S
        for process in [name for name, room in self._rooms.items() if room.used < old]:
            del self._rooms[process]
