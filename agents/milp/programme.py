"""The integer programme of the joint planner: who trains which layer at which position, and where to stop."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import linear_sum_assignment

from snakegym.control.view import Bools, Floats, Ints

IMPOSSIBLE = -1e12
"""Stands for a value of -inf where a solver wants numbers."""


@dataclass(frozen=True)
class Programme:
    """Maximise the value of a path of at most T positions over N nodes that trains one of M layers at each.

    The path may stop after any position, or be empty, which is worth 0. It is worth the sum of its pairs'
    `value`, less the price of `handing` the model on and of every visit of a node beyond its first in a
    block. A layer is trained once a block at most, and all of it takes `left_s` at most. In reward units and
    seconds.
    """

    value: Floats
    """[T, N, M]: of the pair at the position; -inf where it is impossible."""
    time_s: Floats
    """[T, N, M]."""
    handing: Floats | None
    """[T, N, N]: price of handing on from the first node to the second, before the position; that before
    position 0 is in `value`. None: the model always comes from the same place, and `value` is the same at all
    positions of a block."""
    handing_s: Floats | None
    """[T, N, N]: how long that takes."""
    block: Ints
    """[T]: cycle in which the position lies, from 0, ascending; no more than M positions each, unless layers
    may be trained again."""
    again: Floats
    """[N]: price of every further visit in a block, >= 0; inf: there is none."""
    left_s: float
    """Time that the path may take."""
    repeats: bool = False
    """Whether a layer may be trained any number of times."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Positions, nodes and layers."""
        t, n, m = self.value.shape
        return t, n, m

    @cached_property
    def blocks(self) -> tuple[slice, ...]:
        """The positions of each block."""
        starts = np.flatnonzero(np.diff(self.block, prepend=-1))
        return tuple(
            slice(int(a), int(b)) for a, b in zip(starts, [*starts[1:], len(self.block)], strict=True)
        )

    @cached_property
    def timely(self) -> Bools:
        """[T, N, M]: pairs that are possible by themselves."""
        possible: Bools = np.isfinite(self.value) & (self.time_s <= self.left_s)
        return possible

    def layers_for(self, nodes: Ints) -> Ints:
        """[len(nodes)]: the best layer at each position of a path [<= T] over these nodes."""
        if self.repeats:
            best: Ints = self._along(self.value, nodes).argmax(axis=1)
            return best
        layers = np.empty(len(nodes), dtype=np.int64)
        values = self._along(np.where(self.timely, self.value, IMPOSSIBLE), nodes)
        for block in self.blocks:
            if block.start < len(nodes):
                layers[block] = linear_sum_assignment(values[block], maximize=True)[1]
        return layers

    def _along(self, pairs: Floats, nodes: Ints) -> Floats:
        """[len(nodes), M]: of the pairs [T, N, M] along a path."""
        along: Floats = pairs[np.arange(len(nodes)), nodes]
        return along

    def worth(self, nodes: Ints, layers: Ints) -> Floats:
        """[len(nodes) + 1]: value of each beginning of a path, the empty one first; -inf where it is none."""
        t = np.arange(len(nodes))
        value, time_s = self.value[t, nodes, layers], self.time_s[t, nodes, layers]
        if self.handing is not None and self.handing_s is not None:
            value[1:] -= self.handing[t[1:], nodes[:-1], nodes[1:]]
            time_s[1:] += self.handing_s[t[1:], nodes[:-1], nodes[1:]]
        earlier = np.tril(self.block[t][:, None] == self.block[t], -1)
        further = (earlier & (nodes[:, None] == nodes)).any(axis=1)
        value[further] -= self.again[nodes[further]]
        if not self.repeats:
            value[(earlier & (layers[:, None] == layers)).any(axis=1)] = -np.inf
        value[np.cumsum(time_s) > self.left_s] = -np.inf
        return np.concatenate([[0.0], np.cumsum(value)])


@dataclass(frozen=True)
class Solution:
    """A path of a programme, and a bound on what any path is worth."""

    nodes: Ints
    layers: Ints
    total: float
    bound: float
    """At least the optimum."""

    @property
    def gap(self) -> float:
        """How much better the best path could be, in reward units."""
        return max(0.0, self.bound - self.total)


def best_beginning(programme: Programme, nodes: Ints, layers: Ints) -> tuple[Ints, Ints, float]:
    """The path, stopped where it is worth most."""
    worth = programme.worth(nodes, layers)
    stop = int(worth.argmax())
    return nodes[:stop], layers[:stop], float(worth[stop])
