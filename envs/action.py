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
    layer and the action is the node. Where the scheduler chooses ranks, it is that * n_ranks + the rank's
    place. The last action but one is to wait, the last to finish.
    """

    n_nodes: int
    n_middle: int
    layer_order: LayerOrder
    ranks: tuple[int, ...] = ()
    """That the scheduler chooses among, rising; empty where it has no choice."""

    @cached_property
    def n_actions(self) -> int:
        """Size of the action space, waiting and finishing included."""
        pairs = self.n_nodes * (self.n_middle if self.layer_order == "free" else 1)
        return pairs * max(1, len(self.ranks)) + 2

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
        rank = None
        if self.ranks:
            action, place = divmod(action, len(self.ranks))
            rank = self.ranks[place]
        if self.layer_order == "free":
            return Assignment(*divmod(action, self.n_middle), rank=rank)
        # Layers beside the one whose turn it is are illegal for all nodes; memory may forbid it for some.
        return Assignment(action, view.next_layer, rank=rank)

    def encode(self, decision: Decision, view: ProcessView | None = None) -> int:
        """The action for a decision; companions that it names are left out.

        Args:
            decision: of a scheduler.
            view: that it is about; where ranks are chosen and it names none, it means the node's own rank.

        Raises:
            SnakegymError: it is none, or its node, layer or rank does not exist.
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
        action = decision.node
        if self.layer_order == "free":
            action = action * self.n_middle + decision.layer
        return action * len(self.ranks) + self._place(decision, view) if self.ranks else action

    def _place(self, decision: Assignment, view: ProcessView | None) -> int:
        """Of the decision's rank."""
        rank = decision.rank
        if rank is None and view is not None and view.adapters is not None:
            rank = int(view.adapters.ranks[decision.node, decision.layer])
        if rank not in self.ranks:
            raise SnakegymError(
                f"scheduler: found {decision!r}, expected a rank out of {', '.join(map(str, self.ranks))}, "
                "or the view beside the decision"
            )
        return self.ranks.index(rank)

    def mask(self, view: ProcessView) -> NDArray[np.bool_]:
        """Bool [n_actions]: legal actions; never all False.

        Waiting and finishing always are legal, the latter even before anything was trained: a process that
        cannot pay for its first hop is best ended at once.
        """
        mask = np.ones(self.n_actions, dtype=np.bool_)
        known = np.stack([one.legal for one in view.ranks], axis=2) if self.ranks else view.legal
        legal = known
        if legal.shape[:2] != (self.n_nodes, self.n_middle):
            legal = np.zeros((self.n_nodes, self.n_middle, *known.shape[2:]), dtype=np.bool_)
            legal[: view.n_nodes, : view.n_middle] = known
        mask[: self.wait] = (legal if self.layer_order == "free" else legal.any(axis=1)).ravel()
        return mask
