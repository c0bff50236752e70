"""The action space: one integer for who trains which layer next, for waiting, or for finishing."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from snakegym.control.records import FINISH, Assignment, Decision
from snakegym.control.view import ProcessView
from snakegym.errors import SnakegymError
from snakegym.scenario import LayerOrder


@dataclass(frozen=True)
class ActionCodec:
    """Translates between actions and decisions, of processes with at most so many nodes and middle layers.

    With layer order `free`, action = node * n_middle + layer; otherwise the process fixes the
    layer and the action is the node. The last action but one is to wait, the last to finish.
    """

    n_nodes: int
    n_middle: int
    layer_order: LayerOrder

    @cached_property
    def n_actions(self) -> int:
        """Size of the action space, waiting and finishing included."""
        return self.n_nodes * (self.n_middle if self.layer_order == "free" else 1) + 2

    @property
    def wait(self) -> int:
        """The action that waits; those before it are assignments."""
        return self.n_actions - 2

    @property
    def finish(self) -> int:
        """The action that ends the process."""
        return self.n_actions - 1

    def checked(self, action: np.int64 | int) -> int:
        """The action as an integer, if it is one; `Discrete.contains` takes ten times as long.

        Raises:
            SnakegymError: it is not.
        """
        try:
            checked = operator.index(action)
        except TypeError:
            checked = -1
        if not 0 <= checked < self.n_actions:
            raise SnakegymError(f"action: found {action!r}, expected an integer in [0, {self.n_actions})")
        return checked

    def decode(self, action: int, view: ProcessView) -> Decision:
        """The decision behind an action in [0, n_actions): an assignment, None (wait) or FINISH.

        With a fixed layer order the layer is the one that is open in `view`.
        """
        if action == self.wait:
            return None
        if action == self.finish:
            return FINISH
        if self.layer_order == "free":
            return Assignment(*divmod(action, self.n_middle))
        # Layers beside the one whose turn it is are illegal for all nodes; memory may forbid it for some.
        return Assignment(action, view.next_layer)

    def encode(self, decision: Decision) -> int:
        """The action for a decision; companions that it names are left out.

        Raises:
            SnakegymError: it is none, or its node or layer does not exist.
        """
        if decision is None:
            return self.wait
        if decision is FINISH:
            return self.finish
        if not (
            isinstance(decision, Assignment)
            and 0 <= decision.node < self.n_nodes
            and 0 <= decision.layer < self.n_middle
        ):
            raise SnakegymError(
                f"scheduler: found {decision!r}, expected None (wait), FINISH or an Assignment with node in "
                f"[0, {self.n_nodes}) and layer in [0, {self.n_middle})"
            )
        if self.layer_order == "free":
            return decision.node * self.n_middle + decision.layer
        return decision.node

    def mask(self, view: ProcessView) -> NDArray[np.bool_]:
        """Bool [n_actions]: legal actions; never all False.

        Waiting and finishing always are legal, the latter even before anything was trained: a process that
        cannot pay for its first hop is best ended at once.
        """
        mask = np.ones(self.n_actions, dtype=np.bool_)
        legal = view.legal
        if legal.shape != (self.n_nodes, self.n_middle):
            legal = np.zeros((self.n_nodes, self.n_middle), dtype=np.bool_)
            legal[: view.n_nodes, : view.n_middle] = view.legal
        mask[: self.wait] = legal.ravel() if self.layer_order == "free" else legal.any(axis=1)
        return mask
