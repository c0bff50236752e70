"""Transfers, phases and costs of a hop: what the simulator shares with the floors above."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PCE = -1
"""Index of the Process Computation Engine where a node's index is expected."""

Phase = Literal["receive", "compute", "send"]
Reason = Literal["link", "node"]


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
class Work:
    """What one node has to receive, compute and send in a hop."""

    node: int
    start_s: float
    """Simulated time at which the hop begins."""
    receive: Transfer
    flops: float
    send: Transfer | None
    """None: nothing is uploaded."""
    forced_share: float | None = None
    """The share of the FLOPs after which the node falls silent; None: it does not."""


@dataclass(frozen=True, slots=True)
class Phases:
    """What the three phases of a hop took and moved on the network.

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
    """The first phase in which link or node dropped out for longer than the timeout."""
    update_sent: bool = True
    """Whether the upload arrived in full; True where none is needed (P2P)."""

    @property
    def duration_s(self) -> float:
        """Of the hop, in simulated seconds."""
        return self.receive_s + self.compute_s + self.send_s

    @property
    def reason(self) -> Reason | None:
        """What dropped out, if anything did."""
        if self.interrupted is None:
            return None
        return "node" if self.interrupted == "compute" else "link"

    @property
    def costs(self) -> Costs:
        """Time, energy of both ends and bytes put on the air (lost ones too)."""
        return Costs(self.duration_s, self.node_energy_j + self.sender_energy_j, self.bytes_sent)
