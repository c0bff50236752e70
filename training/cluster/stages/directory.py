"""The nodes that there are, and how they are reached: the seam to whatever connects them."""

from __future__ import annotations

from typing import Protocol

from snakegym.cluster.node import Node, Task
from snakegym.cluster.reach import Near, Reach
from snakegym.cluster.statements import Beat, Enrolment, Means


class Directory(Protocol):
    """Nodes by name. Errors are SnakegymError; a name that is not known raises LookupError."""

    def beats(self) -> dict[str, tuple[float, Beat]]:
        """Of every node how many seconds ago it was heard of, and what it said; of one that died, nothing."""
        ...

    def means(self, name: str) -> Means: ...

    def enrol(self, name: str, task: Task) -> Enrolment: ...

    def release(self, name: str, process: str) -> None: ...

    def reach(self, name: str, process: str) -> Reach: ...


class NearNodes:
    """A `Directory` of nodes in this program, which are always there; for tests, and to try things.

    Args:
        nodes: each name once.
    """

    def __init__(self, *nodes: Node) -> None:
        self.nodes = {node.means.name: node for node in nodes}
        self._reach: dict[tuple[str, str], Near] = {}

    def beats(self) -> dict[str, tuple[float, Beat]]:
        return {name: (0.0, Beat(node.life, 1.0)) for name, node in self.nodes.items()}

    def means(self, name: str) -> Means:
        return self.nodes[name].means

    def enrol(self, name: str, task: Task) -> Enrolment:
        return self.nodes[name].enrol(task)

    def release(self, name: str, process: str) -> None:
        if name in self.nodes:
            self.nodes[name].release(process)

    def reach(self, name: str, process: str) -> Reach:
        key = name, process
        if key not in self._reach:
            self._reach[key] = Near(self.nodes[name], process)
        return self._reach[key]
