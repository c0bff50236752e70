"""The seam between the Service Provider and whatever runs its processes: this machine, or a Ray cluster.

A provider decides which process runs on which nodes; a host runs it, keeps what it needs to go on, and tells
what happens. Everything that crosses the seam is plain data. A process has one Process Controller, with any
scheduler by name. It has as many *seats* as its scenario's network has nodes; a leased node sits on the lowest
free one until it is released, and nobody trains on an empty seat.

Events are JSON records with `number` (1, 2, … in a process, without gaps), `at` (seconds since 1970) and `kind`:

| kind | with |
|---|---|
| `started`, `resumed` | `machine`, `metric`; started also `called` (what the metric is: accuracy, of texts a score), resumed also `hops` |
| `hop` | `hop`, `cycle`, `seat`, `node`, `layer`, `rank` (of its adapters, where that was chosen; else null), `sender` (null: the PCE), `along` (companions), `start_s`, `clock_s`, `receive_s`, `compute_s`, `send_s`, `share` (of its training that was done), `energy_j`, `n_bytes`, `metric`, `gain`, `delivered`, `interrupted`, `abandoned` (null, or why it was given up), `shadow` |
| `refused` | `reason`: a leased node that cannot serve the process; its seat stays empty |
| `waited` | `clock_s`, `reason` (`scheduler`, `illegal`), `shadow` |
| `pool` | `node`, `joined`, `reason`, `clock_s`: a node that the PC accepted or removed |
| `recovery` | `lost`, `source` (null: the PCE), `hops_lost`, `clock_s` |
| `leased`, `released` | `nodes`: now under the process's control, or no longer |
| `sla` | `promise`, `state` (`broken`, `at risk`), `found`, `promised` |
| `ended` | `reason` (`finish`, `target`, `time`, … or `request`), `metric`, `called`, `test_accuracy` (null: the model cannot be had) |
| `failed` | `reason`, in one line |
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from snakegym.training.cluster.description import ServiceDescription

Event = dict[str, Any]
"""A JSON record, as above."""
RunState = Literal["starting", "running", "moving", "ended", "failed"]


@dataclass(frozen=True)
class Order:
    """A process to be run."""

    process: str
    """Its id: letters, digits and hyphens."""
    service: ServiceDescription
    nodes: tuple[str, ...]
    """Leased to it, at most as many as the scenario's network has."""
    resume: bool = False
    """Go on from its checkpoint, if there is one; the last hop is repeated at most."""


@dataclass(frozen=True)
class Status:
    """How a process stands."""

    state: RunState
    machine: str = ""
    """Where its Process Controller runs."""
    snapshot: dict[str, Any] = field(default_factory=dict)
    """JSON: `clock_s`, `metric`, `hops`, `waits`, `cycle`, `energy_j`, `n_bytes`, `holder` (seat; -1: the
    PCE), `mode`, `nodes` (a record for each seat: `seat`, `node` (null: empty), `in_pool`, `reachable`,
    `availability`, `uplink_bps`, `downlink_bps`, `battery`, `samples`, `visits`) and `layers` (a record for
    each middle layer: `n_bytes`, `times_trained`, `trained_in_cycle`, `last_seat`). Empty at first."""


@dataclass(frozen=True)
class NodeReport:
    """A node that a host knows."""

    name: str
    alive: bool = True
    """Whether it was heard of lately."""
    slots: int = 1
    """Processes that it may serve at a time."""
    memory_bytes: float | None = None
    """None: not known, as for all of these."""
    peak_flops: float | None = None
    samples: int | None = None
    labels: dict[str, int] | None = None
    """Samples of each label; None: not told."""
    availability: float | None = None
    """Share of its compute that is free, in [0, 1]."""
    uplink_bps: float | None = None
    downlink_bps: float | None = None
    battery: float | None = None
    """Share that is left, in [0, 1]."""


@dataclass(frozen=True)
class Joining:
    """What a machine needs to join the cluster of a host. Who has it can run anything there."""

    address: str
    """Of Ray's head."""
    token: str = field(repr=False)
    """Ray's."""


class ProcessHost(Protocol):
    """Runs processes. Calls return at once; what comes of them is told by events.

    All methods but `start` raise LookupError for a process that this host was never given.
    """

    def start(self, order: Order) -> None:
        """Begin a process, or take it up again. Raises SnakegymError where that is plainly impossible."""
        ...

    def lease(self, process: str, nodes: Sequence[str]) -> None:
        """From now on it has these nodes alone.

        One that is taken away ends the hop under way, at once or when it is done (what it trained is
        uploaded), and is free once a `released` event has named it.
        """
        ...

    def stop(self, process: str) -> None:
        """End it: a partial update is uploaded, then `ended` with the reason `request`; nodes are free."""
        ...

    def migrate(self, process: str, machine: str | None = None) -> None:
        """Move its Process Controller to another machine (None: the host chooses); `resumed` tells where."""
        ...

    def status(self, process: str) -> Status:
        """How it stands, when last heard of."""
        ...

    def events(self, process: str, since: int = 0) -> list[Event]:
        """Those with a higher number, in order."""
        ...

    def nodes(self) -> list[NodeReport]:
        """All that this host has, each name once."""
        ...

    def close(self) -> None:
        """Leave: processes stop after their hop under way and can be resumed by `start`."""
        ...
