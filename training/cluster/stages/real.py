"""A process on real nodes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any

import numpy as np

from snakegym.cluster.clock import WallClock
from snakegym.cluster.executor import NodesExecutor
from snakegym.cluster.monitor import MeasuredNodes
from snakegym.cluster.node import Task
from snakegym.cluster.parcels import Patches
from snakegym.cluster.reach import Reach
from snakegym.cluster.statements import Enrolment, Lost, Refused
from snakegym.control.controller import ProcessController
from snakegym.control.execution.engines import ProcessComputationEngine
from snakegym.control.forecast import forecast
from snakegym.control.nodes.holdings import Holdings
from snakegym.control.progress.checkpoint import ProcessCheckpoint
from snakegym.control.records import Hop, Job, Outcome
from snakegym.control.service import Service
from snakegym.errors import SnakegymError, in_one_line
from snakegym.learning.quantisation import as_handed_on
from snakegym.models.state import ModelState
from snakegym.network.records import PCE, Costs
from snakegym.training.cluster.stages.directory import Directory

LISTEN_S = 0.5
HEED_S = 0.2
"""Between two looks at who is wanted, while a hop is under way."""
LOOK_AGAIN_S = 1.0
"""A wait of a real process, at most: something may have changed, and time passes by itself."""
PATIENCE_S, TIMES = 20.0, 5.0
"""A hop may take so long, and so many times what is expected of it."""
LONGEST_S = 3600.0
log = logging.getLogger(__name__)
GIVEN_UP_S = 90.0
"""A node that is silent for so long has lost what it held, as far as a process goes that waits for it."""


class RealStage:
    """A `Stage` on nodes: the same controller on what is measured, with its time and its deadlines.

    A hop is given up when a node that takes part dies, is silent, refuses or is refused, or takes too long.
    A node that is started anew, or is gone for good, has lost its layers; one that is refused is banned from
    the process.

    Args:
        process: its id.
        service: what is trained; its traces are not asked for.
        seed: of the initial model, and of training; as for a simulation.
        directory: the nodes.

    Attributes:
        wanted: names of the nodes that are to stay, asked for while a hop is under way: whoever is not among
            them ends its training early. To be set by whoever knows.
    """

    def __init__(self, process: str, service: Service, seed: int, directory: Directory) -> None:
        self._process, self._service, self._seed, self._directory = process, service, seed, directory
        self._n = service.scenario.network.nodes
        self._monitor, self._clock = MeasuredNodes(self._n), WallClock()
        self._names: list[str | None] = [None] * self._n
        self.wanted: Callable[[], Collection[str | None]] = lambda: self._names
        self._told: list[Enrolment | None] = [None] * self._n
        self._lives: dict[int, str] = {}
        self._anew: set[int] = set()
        self._dead: set[int] = set()
        self._seen: set[int] = set()
        self._silent_since: dict[int, float] = {}
        self._pce = ProcessComputationEngine(service.engine, service.data.validation)
        learning = service.scenario.learning
        self._like = as_handed_on(service.model, service.model.initial_state(0), learning)
        self._patches = Patches()
        self.controller = self._made()
        self._executor = self._carrier()
        self._over = threading.Event()
        threading.Thread(target=self._listen, daemon=True, name="beats").start()

    def resume(self, checkpoint: ProcessCheckpoint, kept: dict[str, Any]) -> None:
        """As `Stage`; a hop may have been under way, whose number is not given again."""
        self.controller.restore(checkpoint)
        self._clock = WallClock(self.controller.clock_s)
        self.controller.caches.next_number()
        self._lives = {int(seat): life for seat, life in kept.get("lives", {}).items()}
        for name in kept.get("banned", []):
            self._monitor.ban_name(name)

    def keep(self) -> dict[str, Any]:
        return {
            "lives": {str(seat): life for seat, life in self._lives.items()},
            "banned": self._monitor.banned,
        }

    def seat(self, names: Sequence[str | None]) -> list[str]:
        before, faults = list(self._names), []
        self._bring_home(names)
        for seat, name in enumerate(names):
            if name == before[seat]:
                continue
            gone = before[seat]
            if gone is not None:
                self._directory.release(gone, self._process)
            self._names[seat] = self._told[seat] = None
            self._seen.discard(seat)
            self._monitor.sit(seat, None)
            if name is not None:
                fault = self._enrol(seat, name)
                faults += [fault] if fault else []
        if self._names != before:
            checkpoint = self.controller.checkpoint()
            self._hear()
            self.controller = self._made()
            self.controller.restore(checkpoint)
            self._executor = self._carrier()
            for seat in self._strangers():
                self.controller.forget(seat)
        return faults

    def carry_out(self, job: Job) -> Hop:
        """As `Stage`: an abandoned hop has its reason with it."""
        start = self._clock.elapsed()
        try:
            future = self._executor.submit(job)
            self._cut_short(job, future)
            outcome = future.result()
        except Exception as error:  # whatever a node came to grief with
            seat = error.seat if isinstance(error, Refused | Lost) else None
            if isinstance(error, Refused) and seat is not None:
                self._monitor.ban(seat)
                self._anew.add(seat)
            elif isinstance(error, Lost):
                self._monitor.gone(job.assignment.node if seat is None else seat, self._clock.elapsed())
            hop = self.controller.abandon(job.id, in_one_line(error), self._clock.elapsed() - start)
        else:
            hop = self.controller.complete(job.id, outcome)
        self._forget_lost()
        return hop

    def _cut_short(self, job: Job, future: Future[Outcome]) -> None:
        """Until the hop is over, have those end their training who are not wanted any more."""
        told: set[int] = set()
        while not wait([future], HEED_S).done:
            wanted = self.wanted()
            for seat in {member.assignment.node for member in job.members} - told:
                if self._names[seat] not in wanted:
                    told.add(seat)
                    with suppress(LookupError, SnakegymError):
                        self._reach(seat).cut_short(job.id)

    def wait(self) -> None:
        time.sleep(min(LOOK_AGAIN_S, self._service.scenario.process.wait_s))
        self.controller.wait()
        self._forget_lost()

    def collect(self) -> ModelState:
        return self._executor.collect()

    def close(self) -> None:
        self._over.set()
        for name in self._names:
            if name is not None:
                self._directory.release(name, self._process)

    def _bring_home(self, names: Sequence[str | None]) -> None:
        """If the holder is to leave, the PCE takes the model over, if it can be had."""
        holder = self.controller.view().holder
        if holder == PCE or self._names[holder] in (None, names[holder]):
            return
        with suppress(SnakegymError):
            n_bytes = self._executor.bring_home()
            self.controller.brought_home(Costs(n_bytes=n_bytes))

    def _enrol(self, seat: int, name: str) -> str | None:
        """Let that node sit there; what is wrong, if it cannot."""
        try:
            told = self._directory.enrol(name, self._task(seat))
            n_classes = self._service.data.n_classes
            if told.samples < 1 or (told.counts and len(told.counts) != n_classes):
                raise SnakegymError(
                    f"node '{name}': found {told.samples} samples of {len(told.counts)} labels, expected at "
                    f"least one of {n_classes}"
                )
            self._monitor.sit(seat, self._directory.means(name))
        except (SnakegymError, LookupError) as error:
            return in_one_line(error)
        self._names[seat], self._told[seat] = name, told
        return None

    def _task(self, seat: int) -> Task:
        return Task(self._process, seat, self._service.scenario, self._service.data.validation)

    def _strangers(self) -> list[int]:
        """Seats whose node is another one than before, or lives another life; they are known from now on."""
        lives = {seat: told.life for seat, told in enumerate(self._told) if told is not None}
        found = [seat for seat in range(self._n) if lives.get(seat) != self._lives.get(seat)]
        self._lives = lives
        return found

    def _made(self) -> ProcessController:
        rng = np.random.default_rng(self._seed)
        return self._service.control(rng, self._monitor, self._holdings(), self._clock)

    def _holdings(self) -> Holdings:
        """What nodes told of their samples; of an empty seat, or one that does not tell, nothing special."""
        n_classes = self._service.data.n_classes
        samples, labels = np.ones(self._n, dtype=np.int64), np.full((self._n, n_classes), 1 / n_classes)
        for seat, told in enumerate(self._told):
            if told is not None:
                samples[seat] = told.samples
                if told.counts:
                    labels[seat] = np.array(told.counts) / sum(told.counts)
        samples.flags.writeable = labels.flags.writeable = False
        return Holdings(samples, labels, len(self._service.data.validation))

    def _carrier(self) -> NodesExecutor:
        return NodesExecutor(
            self.controller,
            self._reach,
            self._pce,
            self._like,
            lambda: self._clock.elapsed(),
            self._patience_s,
            self._patches,
        )

    def _reach(self, seat: int) -> Reach:
        name = self._names[seat]
        if name is None:
            raise KeyError(seat)
        return self._directory.reach(name, self._process)

    def _patience_s(self, job: Job) -> float:
        expected = forecast(self.controller.view()).time_s[job.assignment.node, job.assignment.layer]
        return float(min(LONGEST_S, PATIENCE_S + TIMES * expected)) if np.isfinite(expected) else LONGEST_S

    def _listen(self) -> None:
        while not self._over.wait(LISTEN_S):
            try:
                self._hear()
            except Exception:  # the cluster may be away for a while: until it is back nobody is heard of
                log.exception("process %s: nothing could be heard of its nodes", self._process)

    def _hear(self) -> None:
        """Take in what nodes say."""
        beats, now = self._directory.beats(), self._clock.elapsed()
        for seat, name in enumerate(self._names):
            if name is None:
                continue
            if name in beats:
                age, beat = beats[name]
                self._dead.discard(seat)
                self._seen.add(seat)
                if self._monitor.beat(seat, now - age, beat):
                    self._anew.add(seat)
            elif seat in self._seen - self._dead:  # who was never heard of may only be slow to answer
                self._dead.add(seat)
                self._monitor.gone(seat, now)
                self._anew.add(seat)

    def _forget_lost(self) -> None:
        """What nodes held that have died, live anew, or are silent for too long is gone."""
        now = self._clock.elapsed()
        for seat, name in enumerate(self._names):
            if name is None or self._monitor.alive(seat, now):
                self._silent_since.pop(seat, None)
            elif now - self._silent_since.setdefault(seat, now) > GIVEN_UP_S:
                self._anew.add(seat)
        while self._anew:
            seat = self._anew.pop()
            self.controller.forget(seat)
            self._enrol_again(seat)

    def _enrol_again(self, seat: int) -> None:
        """A node that lives anew has forgotten the process, too."""
        name = self._names[seat]
        if name is None or seat in self._dead:
            return
        with suppress(SnakegymError, LookupError):
            told = self._directory.enrol(name, self._task(seat))
            self._lives[seat] = told.life
