"""Transfers, phases and costs of a hop: what the simulator shares with the floors above."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PCE = -1
"""Index of the Process Computation Engine where a node's index is expected."""

Phase = Literal["receive", "compute", "evaluate", "send"]
Reason = Literal["link", "node", "battery", "deadline"]


@dataclass(frozen=True, slots=True)
class Costs:
    """Simulated seconds, joules and bytes put on the air."""

    time_s: float = 0.0
    energy_j: float = 0.0
    n_bytes: float = 0.0

    def __add__(self, other: Costs) -> Costs:
        return Costs(self.time_s + other.time_s, self.energy_j + other.energy_j, self.n_bytes + other.n_bytes)


@dataclass(frozen=True, slots=True)
class Transfer:
    """Layers on their way from `sender` to `receiver` (node indices or PCE)."""

    sender: int
    receiver: int
    n_bytes: int


@dataclass(frozen=True, slots=True)
class Silence:
    """A node that is made to fall silent in the middle of its training."""

    share: float
    """Of the training's FLOPs done by then, in [0, 1)."""
    seconds: float
    """After which the Process Controller gives the training up."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one node has to receive, compute and send in a hop."""

    node: int
    start_s: float
    """Simulated time at which the hop begins."""
    receive: Transfer
    flops: float
    """Of the training."""
    send: Transfer | None
    """None: nothing is uploaded."""
    evaluation_flops: float = 0.0
    """What the node computes after its training to measure the metric."""
    silence: Silence | None = None
    battery_j: float = float("inf")
    """What the node's battery holds when the hop begins."""
    sender_battery_j: float = float("inf")
    """Likewise, of the node that hands the model on."""
    deadline_s: float = float("inf")
    """Simulated time at which everything stops, however far it is."""


@dataclass(frozen=True, slots=True)
class Phases:
    """What the phases of a hop took and moved on the network.

    Conservation: `bytes_sent == bytes_received + bytes_lost`. A phase that was never reached
    lasted 0 s.
    """

    receive_s: float = 0.0
    compute_s: float = 0.0
    send_s: float = 0.0
    bytes_sent: float = 0.0
    bytes_received: float = 0.0
    bytes_lost: float = 0.0
    node_energy_j: float = 0.0
    """Spent by the node that trains (compute, and radio while receiving and sending)."""
    sender_energy_j: float = 0.0
    """Spent by the node that hands the model on (P2P); 0 if the sender is the PCE."""
    trained_share: float = 1.0
    """Share of the hop's FLOPs done, in [0, 1]."""
    interrupted: Phase | None = None
    """The first phase that was not completed."""
    update_sent: bool = True
    """Whether the upload arrived in full; True where none is needed."""
    evaluate_s: float = 0.0
    evaluated: bool = True
    """Whether the node completed its evaluation; True where it has none to do."""
    battery_empty: bool = False
    """Whether a battery ran out: the node's, or while it received the sender's."""
    late: bool = False
    """Whether the deadline came first: nothing dropped out, the time was over."""

    @property
    def duration_s(self) -> float:
        """Of the hop, in simulated seconds."""
        return self.receive_s + self.compute_s + self.evaluate_s + self.send_s

    @property
    def reason(self) -> Reason | None:
        """What dropped out, if anything did, or that the time was over."""
        if self.interrupted is None:
            return None
        if self.late:
            return "deadline"
        if self.battery_empty:
            return "battery"
        return "node" if self.interrupted in ("compute", "evaluate") else "link"

    @property
    def dropped_out(self) -> bool:
        """Whether something dropped out; a deadline is nobody's fault."""
        return self.interrupted is not None and not self.late

    @property
    def costs(self) -> Costs:
        """Time, energy of both ends and bytes put on the air (lost ones too)."""
        return Costs(self.duration_s, self.node_energy_j + self.sender_energy_j, self.bytes_sent)
