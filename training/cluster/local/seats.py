"""Which node sits on which seat of a process, and what is seen of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from snakegym.arrays import read_only
from snakegym.control.view import Bools, ProcessView


class Seats:
    """The nodes of a process by their number in its scenario.

    Args:
        n: how many there are.
        names: who sits there; None: nobody.
        trained: middle layers with the seat on which each was trained last.
    """

    def __init__(
        self, n: int, names: Sequence[str | None] = (), trained: Iterable[tuple[int, int]] = ()
    ) -> None:
        self.names: list[str | None] = [*names, *[None] * (n - len(names))]
        self.trained = dict(trained)
        self._last = list(self.names)

    @property
    def taken(self) -> Bools:
        """[n]: whether somebody sits there; a new array."""
        return np.array([name is not None for name in self.names], dtype=np.bool_)

    def name(self, seat: int) -> str | None:
        """Who sits there, or sat there last."""
        return self.names[seat] or self._last[seat]

    def change(self, nodes: Sequence[str]) -> tuple[list[str], list[str]]:
        """Let these sit, those who do already where they are; who came and who went.

        What is beyond the number of seats is left out.
        """
        gone = [name for name in self.names if name is not None and name not in nodes]
        self.names = [name if name in nodes else None for name in self.names]
        come = [node for node in nodes if node not in self.names]
        free = [seat for seat, name in enumerate(self.names) if name is None]
        come = come[: len(free)]
        for seat, node in zip(free, come, strict=False):
            self.names[seat] = self._last[seat] = node
        return come, gone

    def look(self, view: ProcessView) -> dict[str, Any]:
        """Records of all seats and of all middle layers; see `hosting.Status`."""
        nodes, layers = view.nodes, view.layers
        columns = {
            "in_pool": nodes.in_pool,
            "reachable": nodes.reachable,
            "availability": nodes.availability,
            "uplink_bps": nodes.uplink_bps,
            "downlink_bps": nodes.downlink_bps,
            "battery": nodes.battery,
            "samples": nodes.samples,
            "visits": nodes.visits,
        }
        lists = {key: column.tolist() for key, column in columns.items()}
        return {
            "nodes": [
                {"seat": i, "node": name, **{key: column[i] for key, column in lists.items()}}
                for i, name in enumerate(self.names)
            ],
            "layers": [
                {
                    "n_bytes": float(layers.n_bytes[i]),
                    "times_trained": int(layers.times_trained[i]),
                    "trained_in_cycle": bool(layers.trained_in_cycle[i]),
                    "last_seat": self.trained.get(i),
                }
                for i in range(view.n_middle)
            ],
        }


def only(view: ProcessView, able: Bools) -> ProcessView:
    """The view with the other nodes out of the pool.

    Args:
        view: of all.
        able: [n_nodes].
    """
    nodes = view.nodes
    in_pool, reachable = read_only(nodes.in_pool & able), read_only(nodes.reachable & able)
    nodes = replace(nodes, in_pool=in_pool, reachable=reachable)
    return replace(view.narrowed(able[:, None]), nodes=nodes)
