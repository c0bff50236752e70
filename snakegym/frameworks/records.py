"""What one round of any framework cost and brought."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from snakegym.models.state import LayerState


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
    loss: float | None
    """Mean training loss of the round; None if nothing was trained."""
    validation_accuracy: float
    """Of the model after the round, in [0, 1]."""
    test_accuracy: float
    """Of the model after the round, in [0, 1]; as all accuracies here, of texts the score (`Task.score`)."""
    test_loss: float | None = None
    """Of the model after the round, mean over all that counts, in nats; None: not finite."""


@dataclass(frozen=True)
class Checkpoint:
    """All that a framework needs to go on after a round; neither data nor network are in it."""

    layers: tuple[LayerState, ...]
    """The tensors that it carries, on the CPU: those of its model's layers, and whatever else."""
    journal: dict[str, Any]
    """Everything else, as plain JSON data."""
