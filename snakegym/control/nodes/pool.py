"""The pool of accepted nodes: admission, removal, requests to leave, and what is known of each node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce

import numpy as np

from snakegym.arrays import read_only
from snakegym.control.progress.plain import Plain, count, keep, keep_records, put_back, records_of
from snakegym.control.records import Ground, Hop, PoolEvent
from snakegym.control.view import Bools, Floats
from snakegym.network.network import Measurement, Monitor
from snakegym.network.records import PCE
from snakegym.scenario import PoolConfig

FOR_GOOD: tuple[Ground, ...] = ("memory", "battery", "epochs")
"""Grounds that never go away within a process."""
MOST_MISSED = 10_000
"""Requests to leave during one hop that are drawn one by one. What came before need not be drawn: a Poisson
process has no memory."""
SPEEDS_TO_COMPARE = 3
"""Nodes that must have trained before one of them is called slow."""
ROUNDING = 1e-9
"""A battery down to this share is empty: energies are sums of rounded numbers."""
_CHANGING = (
    "visits",
    "interruptions",
    "last_gain",
    "energy_j",
    "battery",
    "_left",
    "_members",
    "_n_members",
    "_free_at",
    "_interrupted_in_row",
    "_gainless_in_row",
    "_trained_hops",
    "_speed",
    "_request_at",
)
_OPEN_ENDED = ("_free_at", "_speed", "_request_at")
"""Of them those that are infinite for never, and nan for unknown."""


class NodePool:
    """Which nodes the Process Controller works with, and why.

    Snake Learning (DOI 10.1109/MCOM.005.2400282, "Updated Parameter Transmission and Node Management"):
    the controller watches every node and removes it for bad connectivity, load, too little memory or
    battery, or poor local training; a node may also ask to leave. `review` looks at all of them at once;
    the controller calls it after every hop and every wait, so that a change shows in the next view.

    Args:
        network: the nodes.
        config: the scenario's rules.
        memory_bytes: of the smallest hop.
        epochs: of local training in a hop.
        rng: draws when nodes ask to leave.

    Attributes:
        battery: [n_nodes], read-only: share of the battery that is left, in [0, 1]; 1 for mains.
        visits, interruptions: [n_nodes]: hops, and how many of them were interrupted.
        last_gain: [n_nodes]: of the last hop.
        energy_j: [n_nodes]: spent in this process.
        events: who joined and left, in order; nothing here reads them.
    """

    def __init__(
        self,
        network: Monitor,
        config: PoolConfig,
        memory_bytes: float,
        epochs: int,
        rng: np.random.Generator,
    ) -> None:
        n = network.n_nodes
        self.visits = np.zeros(n, dtype=np.int64)
        self.interruptions = np.zeros(n, dtype=np.int64)
        self.last_gain = np.zeros(n)
        self.energy_j = np.zeros(n)
        self.events: list[PoolEvent] = []
        self._config = config
        self._battery_j = network.battery_j
        self.battery: Floats = read_only(np.ones(n))
        self._any_battery = bool(np.isfinite(self._battery_j).any())
        self._too_small = network.memory_bytes < memory_bytes
        self._left: dict[Ground, int] = {}
        self._epochs = epochs
        self._members = np.zeros(n, dtype=np.bool_)
        self._n_members = 0
        self._free_at = np.zeros(n)  # when a node that left may be considered again
        self._interrupted_in_row = np.zeros(n, dtype=np.int64)
        self._gainless_in_row = np.zeros(n, dtype=np.int64)
        self._trained_hops = np.zeros(n)  # whole ones, or parts of them
        self._speed = np.full(n, np.nan)
        # A generator a node, so that requests do not depend on what a scheduler does meanwhile.
        self._rngs = rng.spawn(n) if config.leave_rate_per_h > 0 else []
        self._request_at = np.full(n, np.inf)
        self._draw_requests(range(len(self._rngs)), 0.0)

    def __len__(self) -> int:
        """Members."""
        return self._n_members

    @property
    def left_j(self) -> Floats:
        """[n_nodes], read-only: energy left in the battery; inf for mains."""
        return read_only(np.where(self.battery > 0, self._battery_j - self.energy_j, 0.0))

    def members(self) -> Bools:
        """[n_nodes]: accepted by the Process Controller; a copy."""
        return self._members.copy()

    def book(self, hop: Hop) -> None:
        """Account for a hop: visits, interruptions, gains, speed, and the batteries of all involved."""
        for part in hop.parts:
            node, phases = part.node, part.phases
            interrupted = phases.dropped_out
            self.visits[node] += 1
            self.interruptions[node] += interrupted
            self.last_gain[node] = hop.gain
            self._interrupted_in_row[node] = self._interrupted_in_row[node] + 1 if interrupted else 0
            trivial = hop.gain <= self._config.min_gain
            self._gainless_in_row[node] = self._gainless_in_row[node] + 1 if trivial else 0
            self._trained_hops[node] += part.used
            if part.flops > 0:
                self._speed[node] = part.flops / phases.compute_s
            self.energy_j[node] += phases.node_energy_j
            if part.sender != PCE:
                self.energy_j[part.sender] += phases.sender_energy_j
        if self._any_battery:
            left = 1.0 - self.energy_j / self._battery_j
            self.battery = read_only(np.where(left > ROUNDING, left, 0.0))

    def review(self, now: Measurement, time_s: float) -> None:
        """Admit and remove nodes by what is measured at `time_s`; every change is logged with its reason."""
        objections = list(self._objections(now, time_s))
        against = reduce(np.logical_or, (nodes for _, nodes in objections))
        if not (self._members == against).any():
            return  # everybody is where they belong
        joining = ~(self._members | against) & (self._free_at <= time_s) & self._idle(now)
        for reason, nodes in objections:
            for node in np.flatnonzero(self._members & nodes):
                self._leave(int(node), reason, time_s)
        for node in np.flatnonzero(joining):
            self._members[node] = True
            self._n_members += 1
            self.events.append(PoolEvent(time_s, int(node), True, "ready" if time_s > 0 else "start"))

    def counts(self) -> dict[str, int]:
        """How many nodes left for each reason so far, reasons in alphabetical order."""
        return dict(sorted(self._left.items()))

    def checkpoint(self) -> Plain:
        """All that changes, as plain data."""
        rngs = [rng.bit_generator.state for rng in self._rngs]
        return {**keep(self, _CHANGING), "events": keep_records(self.events), "rngs": rngs}

    def restore(self, kept: Plain) -> None:
        """Take up what `checkpoint` gave."""
        left = {str(reason): count(f"left.{reason}", n) for reason, n in kept["_left"].items()}
        put_back(self, _CHANGING, {**kept, "_left": left}, open_ended=_OPEN_ENDED)
        self._n_members = int(self._members.sum())
        self.battery = read_only(self.battery)  # a deep copy of one may be written to
        self.events = records_of(PoolEvent, kept["events"])
        for rng, state in zip(self._rngs, kept["rngs"], strict=True):
            rng.bit_generator.state = state

    def _objections(self, now: Measurement, time_s: float) -> Iterator[tuple[Ground, Bools]]:
        """Ground and the nodes [n_nodes] against which it speaks, most final first."""
        config = self._config
        yield "memory", self._too_small
        if self._any_battery:
            yield "battery", self.battery <= config.min_battery
        if config.max_epochs is not None:
            yield "epochs", self._trained_hops * self._epochs >= config.max_epochs
        if self._rngs:
            yield "request", self._asking(time_s)
        if config.min_rate_bps > 0:
            yield "connectivity", _slower(now.mean_uplink_bps, now.mean_downlink_bps) < config.min_rate_bps
        if config.min_availability > 0:
            yield "load", now.mean_availability < config.min_availability
        if config.max_interruptions is not None:
            yield "interruptions", self._interrupted_in_row >= config.max_interruptions
        if config.max_slowness is not None and np.isfinite(self._speed).sum() >= SPEEDS_TO_COMPARE:
            yield "speed", self._speed * config.max_slowness < np.nanmedian(self._speed)
        if config.max_gainless is not None:
            yield "gain", self._gainless_in_row >= config.max_gainless

    def _idle(self, now: Measurement) -> Bools:
        """[n_nodes]: free and connected enough at this moment to be admitted."""
        idle: Bools = now.availability >= self._config.min_availability
        return idle & (_slower(now.uplink_bps, now.downlink_bps) >= self._config.min_rate_bps)

    def _leave(self, node: int, reason: Ground, time_s: float) -> None:
        self._members[node] = False
        self._n_members -= 1
        self._free_at[node] = np.inf if reason in FOR_GOOD else time_s + self._config.cooldown_s
        # What speaks for or against its training is measured anew when it comes back.
        self._interrupted_in_row[node] = self._gainless_in_row[node] = 0
        self._speed[node] = np.nan
        self._left[reason] = self._left.get(reason, 0) + 1
        self.events.append(PoolEvent(time_s, node, False, reason))

    def _asking(self, time_s: float) -> Bools:
        """[n_nodes]: whether the node has asked to leave since the last review."""
        asking: Bools = self._request_at <= time_s
        self._draw_requests(np.flatnonzero(asking), time_s)
        return asking

    def _draw_requests(self, nodes: Iterable[int], after_s: float) -> None:
        """The first request after that time of each of these nodes."""
        for node in nodes:
            mean_s = 3600 / self._config.leave_rate_per_h
            at = self._request_at[node] if np.isfinite(self._request_at[node]) else 0.0
            at = max(at, after_s - MOST_MISSED * mean_s)
            while at <= after_s:
                at += self._rngs[node].exponential(mean_s)
            self._request_at[node] = at


def _slower(uplink_bps: Floats, downlink_bps: Floats) -> Floats:
    slower: Floats = np.minimum(uplink_bps, downlink_bps)
    return slower
