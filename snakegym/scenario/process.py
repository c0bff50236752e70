"""The process: its pool of nodes, budget and rules, and what it trades off."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from snakegym.scenario.section import (
    BitRate,
    Bytes,
    CompanionRule,
    Count,
    Evaluation,
    Joules,
    LayerOrder,
    Seconds,
    Section,
    Share,
    Weight,
)


class PoolConfig(Section):
    """Whom the Process Controller accepts as a node, whom it removes, and when it gives a holder up.

    The grounds are the paper's: connectivity, load, memory, battery, local training efficiency, and the
    node's own request. With these defaults only a flat battery or too little memory keeps a node out.
    """

    min_availability: Share = 0.0
    """Idle nodes only: share of compute that is free. A node joins when both the present value and the
    recent mean are at least this, and is removed when the mean falls below."""
    min_rate_bps: BitRate = 0.0
    """The same for the slower direction of the link, bit/s."""
    min_battery: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """A node whose battery is down to this share is removed for good."""
    max_interruptions: Count | None = None
    """A node is removed after that many interrupted hops in a row; null: never."""
    max_slowness: Annotated[float, Field(gt=1, le=1e9)] | None = None
    """A node is removed when its last hop trained that many times slower (FLOP/s) than the median of the
    nodes' last hops; null: never."""
    max_gainless: Count | None = None
    """A node is removed after that many hops in a row that gained no more than `min_gain`; null: never."""
    min_gain: Share = 0.0
    """Gain of validation accuracy below which a hop counts as trivial."""
    max_epochs: Count | None = None
    """A node asks to leave for good once it has trained that many epochs; null: it stays."""
    leave_rate_per_h: Annotated[float, Field(ge=0, le=3600)] = 0.0
    """How often a node asks to leave for reasons of its own, times per hour (a Poisson process)."""
    cooldown_s: Seconds = 60.0
    """A node that left may join again after this time, if nothing speaks against it any more."""
    recovery_s: Seconds | None = None
    """P2P: a holder out of reach for this long is given up, and the latest copy in reach is taken up
    instead; null: only a holder with a flat battery is."""


class BudgetConfig(Section):
    """What an episode may spend; the first budget used up ends it."""

    time_s: Annotated[float, Field(ge=1e-3, le=1e12)]
    """Simulated time: a deadline. A hop under way stops there, with the batches that fitted; with any other
    budget it is completed."""
    energy_j: Joules | None = None
    """Of all nodes together; null: no limit."""
    hops: Count | None = None
    """Interrupted ones too; null: no limit."""
    decisions: Annotated[int, Field(ge=1, le=10**7)] = 100_000
    """Hops and waits together: every episode ends, however little time each of them takes."""


class ProcessConfig(Section):
    """Rules of one training process."""

    budget: BudgetConfig
    """What an episode may spend."""
    layer_order: LayerOrder = "free"
    """`free`: the scheduler chooses the layer; otherwise the process fixes the order of a cycle."""
    repeat_layers: bool = False
    """Whether a layer may be trained again before the cycle is complete."""
    parallel: Count = 1
    """CS mode: nodes that train the layer at the same time; the PCE averages their updates. The scheduler
    names all of them, or one and leaves the others to the rule `companions`."""
    companions: CompanionRule = "shortest"
    """Who goes along where the scheduler does not say, of the legal nodes: those whose own hops are forecast
    to be `shortest`, or those whose labels are the most `divergent` from those trained recently."""
    evaluation: Evaluation = "node"
    """Who measures the metric after a hop in P2P mode, and pays for it: `node`, on validation samples that it
    was given when it enrolled (FLOPs, time, energy); `pce`, to which the node uploads whatever the PCE lacks
    (bytes, time, energy); or an `observer` outside the network, at no charge, for comparisons with frameworks
    that are not charged for theirs. In CS mode the PCE has the model anyway."""
    wait_s: Seconds = 5.0
    """Duration of one wait."""
    target: Annotated[float, Field(gt=0, le=1)] | None = None
    """Validation accuracy that ends the process with success."""


class NominalHop(Section):
    """Typical costs of one hop; they make the weights of scenarios comparable."""

    time_s: Annotated[float, Field(ge=1e-6, le=1e9)]
    """From its beginning to its end."""
    energy_j: Joules
    """Of both ends."""
    n_bytes: Bytes
    """Put on the air."""


class Objective(Section):
    """What the Process Controller trades off: accuracy gained against costs, in reward units."""

    gain: Weight = 10.0
    """Reward for a gain in validation accuracy from 0 to 1."""
    time: Weight = 0.05
    """Price of one nominal hop's time."""
    energy: Weight = 0.02
    """Price of one nominal hop's energy."""
    n_bytes: Weight = 0.02
    """Price of one nominal hop's bytes."""
    illegal: Weight = 0.2
    """Penalty of an illegal action."""
    nominal: NominalHop
    """What the prices are for."""

    def prices(self) -> tuple[float, float, float]:
        """Price in reward units of one second, one joule and one byte."""
        n = self.nominal
        return self.time / n.time_s, self.energy / n.energy_j, self.n_bytes / n.n_bytes
