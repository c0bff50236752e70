"""The nodes of a Ray cluster, asked how they are again and again."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any

import ray
from ray import exceptions

from snakegym.cluster.node import Task
from snakegym.cluster.reach import Reach
from snakegym.cluster.statements import Beat, Enrolment, Means
from snakegym.errors import SnakegymError
from snakegym.training.cluster.onray.node import RayReach, joined, node_actor, ours

ANSWER_S = 60.0
"""For a node to say what it is, or to load its samples."""
RELEASE_S = 2.0
AGAIN_S = 3.0
"""A beat that does not come is asked for anew."""


class RayNodes:
    """A `Directory` of the nodes that have joined the cluster that this program is connected to."""

    def __init__(self) -> None:
        self._asked: dict[str, tuple[float, Any]] = {}
        self._heard: dict[str, tuple[float, Beat]] = {}
        self._means: dict[str, Means] = {}
        self._lock = threading.Lock()

    def beats(self) -> dict[str, tuple[float, Beat]]:
        """As `Directory`; nobody is waited for: what came since the last time counts."""
        with self._lock:
            there, now = joined(), time.monotonic()
            for name in there:
                self._ask(name, now)
            for name in [name for name in self._heard if name not in there]:
                del self._heard[name]  # its raylet is dead
            return {name: (now - at, beat) for name, (at, beat) in self._heard.items()}

    def means(self, name: str, within_s: float = ANSWER_S) -> Means:
        """As `Directory`; it stays what it said first."""
        if name not in self._means:
            self._means[name] = self._get(node_actor(name).means.remote(), within_s)
        return self._means[name]

    def enrol(self, name: str, task: Task) -> Enrolment:
        told: Enrolment = self._get(node_actor(name).enrol.remote(task))
        return told

    def release(self, name: str, process: str) -> None:
        """As `Directory`; a node that does not answer at once finds out by itself."""
        with suppress(LookupError, SnakegymError):
            self._get(node_actor(name).release.remote(process), RELEASE_S)

    def reach(self, name: str, process: str) -> Reach:
        return RayReach(node_actor(name), process)

    def _ask(self, name: str, now: float) -> None:
        at, ref = self._asked.get(name, (0.0, None))
        if ref is not None:
            ready, _ = ray.wait([ref], timeout=0)
            if ready:
                with suppress(exceptions.RayError):  # it is begun anew, or away: its silence tells
                    self._heard[name] = at, ray.get(ref)
            elif now - at < AGAIN_S:
                return
        try:
            self._asked[name] = now, node_actor(name).beat.remote()
        except LookupError:  # not admitted yet
            self._asked.pop(name, None)

    def _get(self, ref: Any, within_s: float = ANSWER_S) -> Any:
        try:
            return ray.get(ref, timeout=within_s)
        except exceptions.RayError as error:
            raise ours(error) from None
