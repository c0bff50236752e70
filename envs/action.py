"""The action space: one integer for who trains which layer next, or for waiting."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from snakegym.control.records import Assignment
from snakegym.control.view import ProcessView
from snakegym.errors import SnakegymError
from snakegym.scenario import LayerOrder


@dataclass(frozen=True)
class ActionCodec:
    """Translates between actions and assignments.

    With layer order `free`, action = node * n_middle + layer; otherwise the process fixes the
    layer and the action is the node. The last action is to wait.
    """

    n_nodes: int
    n_middle: int
    layer_order: LayerOrder

    @cached_property
    def n_actions(self) -> int:
        """Size of the action space, waiting included."""
        return self.n_nodes * (self.n_middle if self.layer_order == "free" else 1) + 1

    @property
    def wait(self) -> int:
        """The action that waits."""
        return self.n_actions - 1

    def decode(self, action: int, view: ProcessView) -> Assignment | None:
        """The assignment behind an action in [0, n_actions); None: wait.

        With a fixed layer order the layer is the one that is open in `view`.
        """
        if action == self.wait:
            return None
        if self.layer_order == "free":
            return Assignment(*divmod(action, self.n_middle))
        # Layers beside the one whose turn it is are illegal for all nodes; memory may forbid it for some.
        return Assignment(action, view.next_layer)

    def encode(self, assignment: Assignment | None) -> int:
        """The action for an assignment; None: wait.

        Raises:
            SnakegymError: it is no assignment, or its node or layer does not exist.
        """
        if assignment is None:
            return self.wait
        if not (
            isinstance(assignment, Assignment)
            and 0 <= assignment.node < self.n_nodes
            and 0 <= assignment.layer < self.n_middle
        ):
            raise SnakegymError(
                f"scheduler: found {assignment!r}, expected None (wait) or an Assignment with node in "
                f"[0, {self.n_nodes}) and layer in [0, {self.n_middle})"
            )
        if self.layer_order == "free":
            return assignment.node * self.n_middle + assignment.layer
        return assignment.node

    def mask(self, view: ProcessView) -> NDArray[np.bool_]:
        """Bool [n_actions]: legal actions; waiting always is, so it is never all False."""
        mask = np.empty(self.n_actions, dtype=np.bool_)
        mask[:-1] = view.legal.ravel() if self.layer_order == "free" else view.legal.any(axis=1)
        mask[-1] = True
        return mask
