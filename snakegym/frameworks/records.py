"""What one round of any framework cost and brought."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from snakegym.models.state import ModelState


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """One round: every node trains its configured epochs once (Snake Learning: every node one hop).

    Rounds of all frameworks thus are the same number of passes over the data.
    """

    passes: float
    """Passes over the whole training part since the start; the round's own included."""
    n_bytes: float
    """Put on the air in this round."""
    messages: int
    """Transfers in this round."""
    synchronisations: int
    """How often somebody in the middle of its work had to wait for another's answer."""
    node_memory_bytes: float
    """Peak on a node, by formula (`snakegym.network.costs.hop_memory`)."""
    node_flops: float
    """Done in this round by the node that did most."""
    all_flops: float
    """Done in this round by all nodes together; the server's are not counted."""
    time_s: float
    """Simulated duration of the round."""
    energy_j: float
    """Of all nodes, in this round; the server's is not counted."""
    loss: float
    """Mean training loss of the round."""
    validation_accuracy: float
    """Of the model after the round, in [0, 1]."""
    test_accuracy: float
    """Of the model after the round, in [0, 1]."""

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON data."""
        return asdict(self)


@dataclass(frozen=True)
class Checkpoint:
    """All that a framework needs to go on after a round."""

    state: ModelState
    """The model, and whatever other tensors are trained."""
    journal: dict[str, Any]
    """Everything else, as plain JSON data."""
