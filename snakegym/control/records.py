"""Records that travel between scheduler, controller and executor (the three seams)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal

from snakegym.learning.jobs import TrainingOrder
from snakegym.models.state import LayerState
from snakegym.models.store import Key, Need, Versions
from snakegym.network.records import Costs, Phases, Silence, Transfer, Work
from snakegym.scenario import Mode

Ground = Literal[
    "start",
    "connectivity",
    "load",
    "memory",
    "battery",
    "interruptions",
    "speed",
    "gain",
    "request",
    "epochs",
    "ready",
]
"""Why a node joined (`start`, later `ready`) or left the pool: see `snakegym.scenario.PoolConfig`."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """A decision: `node` in [0, n_nodes) trains middle layer `layer` in [0, n_middle) next."""

    node: int
    layer: int
    companions: tuple[int, ...] | None = None
    """CS mode with `process.parallel`: who trains the layer at the same time, fewer than `parallel` other
    nodes for which it is legal, too; None: whom the scenario's rule takes (`process.companions`)."""
    rank: int | None = None
    """Where schedulers choose it (`learning.lora.rank: free`), of the adapters that the node trains, and that
    its companions train: one of `ProcessView.ranks`; None: each node's own, as the rule has it."""


class Finish(Enum):
    """The type of `FINISH`, its only value: copies and pickles are that very object."""

    FINISH = "finish"

    def __repr__(self) -> str:
        return "FINISH"


FINISH: Final = Finish.FINISH
"""The decision to end the process."""
Decision = Assignment | Finish | None
"""What a scheduler says: who trains what next, FINISH, or None to wait."""


@dataclass(frozen=True)
class Job:
    """What the local computation engine of a node has to do in one hop: plain data, without any tensor."""

    id: int
    """No other hop of the process has it, whatever became of it; companions share it. It is also the version
    of the layers that the hop changes."""
    assignment: Assignment
    versions: Versions
    """Of the layers of the whole model, as the process has it now."""
    holds: Versions
    """Of the layers that the node is known to hold, -1 where it holds none; of them it forgets nothing."""
    at_pce: Versions
    """Likewise, that the PCE is known to hold."""
    since: Versions
    """Of the layers, the oldest that anybody holds whom adapters alone bring up to date."""
    start_s: float
    """Simulated time at which the hop begins."""
    receive: Transfer
    """The layers whose current version the node lacks; 0 bytes if it lacks none."""
    flops: float
    """Of the whole local training, a teacher's included."""
    send: Transfer | None
    """The upload to the PCE: of first, assigned and last layer (CS mode), or of whatever the PCE lacks and
    needs in order to evaluate (P2P); None where nothing is uploaded."""
    upload: tuple[int, ...]
    """The layers of `send`."""
    training: TrainingOrder
    metric: float
    """Validation accuracy of the model as it is before the hop, in [0, 1]."""
    mode: Mode
    evaluation_flops: float = 0.0
    """Of evaluating the model on the node, after its training; 0 where the node does not."""
    battery_j: float = float("inf")
    """What is left to the node; inf for mains."""
    sender_battery_j: float = float("inf")
    """What is left to the node that hands the model on."""
    companions: tuple[Job, ...] = ()
    """CS mode: what further nodes do at the same time, each with an upload of its own."""
    teacher_flops: float = 0.0
    """Those of `flops` that come before the first batch: the teacher's, where the node distils."""
    silence: Silence | None = None
    """Where somebody has this training interrupted (`snakegym.control.execution.interrupting`)."""
    deadline_s: float = float("inf")
    """Simulated time at which the process is over: the hop stops there, however far it is."""

    @property
    def work(self) -> Work:
        """The assigned node's part, as the network sees it."""
        return Work(
            self.assignment.node,
            self.start_s,
            self.receive,
            self.flops,
            self.send,
            self.evaluation_flops,
            self.silence,
            self.battery_j,
            self.sender_battery_j,
            self.deadline_s,
        )

    @property
    def fetch(self) -> tuple[Key, ...]:
        """The layers and versions that the node lacks, and gets from `receive.sender`."""
        return tuple(need.key for need in self.needs)

    @property
    def needs(self) -> tuple[Need, ...]:
        """The same, with what the node has of them, and whom it may have to hand them on to."""
        since = self.since if self.mode == "p2p" else self.versions
        rows = enumerate(zip(self.versions, self.holds, since, strict=True))
        return tuple(Need(i, *row) for i, row in rows if row[0] != row[1])

    def uploaded(self, changed: Collection[int]) -> tuple[Need, ...]:
        """What the PCE gets, once the node has changed these layers, and what it has of it."""
        versions = {i: self.id if i in changed else self.versions[i] for i in self.upload}
        return tuple(Need(i, version, self.at_pce[i], version) for i, version in versions.items())

    @property
    def members(self) -> tuple[Job, ...]:
        """The job of the assigned node, and its companions' jobs."""
        return (self, *self.companions)


@dataclass(frozen=True, slots=True)
class Part:
    """What one node did in a hop."""

    node: int
    sender: int
    """Where the node got what it lacked: a node, or the PCE."""
    phases: Phases
    delivered: bool
    """Whether its update reached its destination (P2P: whether it trained, and is still there)."""
    batches: int
    """Batches really trained."""
    flops: float
    """FLOPs of training that were done."""
    used: float
    """Samples really used, as a share of those of the whole hop, in [0, 1]."""


@dataclass(frozen=True)
class Outcome:
    """What came of a job."""

    phases: Phases
    """Of the assigned node."""
    delivered: bool
    """Whether the node's update reached its destination (P2P: whether it trained, and is still there)."""
    batches: int
    """Batches really trained."""
    loss: float
    """Mean training loss; nan if nothing was trained."""
    metric: float
    """Validation accuracy of the model after the hop, in [0, 1]; the job's own if it was not `measured`."""
    layers: Mapping[Key, LayerState] = field(default_factory=dict)
    """What came to the PCE, by layer and version (for new layers the job's id); in a simulation all that the
    hop changed, wherever it lies. Nothing if no update was delivered."""
    companions: tuple[Part, ...] = ()
    """What the job's companions did, in their order."""
    measured: bool = True
    """Whether somebody got to evaluate the model."""
    goes_on: bool = False
    """Whether the process goes on with the next layer even if no update was delivered."""
    abandoned: str = ""
    """Why the controller gave the job up; empty where something was heard of it."""


@dataclass(frozen=True)
class Hop:
    """One finished hop, for accounting: what was asked, what it cost and what it brought."""

    index: int
    cycle: int
    assignment: Assignment
    sender: int
    start_s: float
    phases: Phases
    """Of the assigned node."""
    delivered: bool
    """Whether an update was delivered."""
    batches: int
    loss: float
    metric: float
    gain: float
    """Validation accuracy after the hop minus before it."""
    parts: tuple[Part, ...]
    """What each node did: the assigned one, then its companions."""
    job: int
    """Its id."""
    abandoned: str = ""
    """Why it was given up, if it was (`Outcome.abandoned`)."""

    @property
    def costs(self) -> Costs:
        """Time until the slowest node was done; energy and bytes of all together."""
        if len(self.parts) == 1:
            return self.phases.costs
        costs = [part.phases.costs for part in self.parts]
        return Costs(
            max(c.time_s for c in costs), sum(c.energy_j for c in costs), sum(c.n_bytes for c in costs)
        )


@dataclass(frozen=True, slots=True)
class PoolEvent:
    """A node that joined the pool or left it."""

    time_s: float
    node: int
    joined: bool
    reason: Ground


@dataclass(frozen=True, slots=True)
class Recovery:
    """A P2P process that gave its holder up and went back to an earlier copy of the model."""

    time_s: float
    lost: int
    """The holder that was given up."""
    source: int
    """The node with the latest copy in reach, or the PC (-1) with the initial model."""
    hops_lost: int
    """Delivered hops whose updates are gone, but for those lost in an earlier recovery."""
