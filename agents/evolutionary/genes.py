"""Plans as genes in [0, 1]: a key for every layer of each cycle, which orders them, and a node a hop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snakegym.agents.planning.state import PlanState
from snakegym.agents.planning.walk import Hops
from snakegym.control.records import Assignment
from snakegym.control.view import Bools, Floats, Ints


@dataclass(frozen=True)
class Genome:
    """What genes [n_positions + n_cycles * n_middle] mean: a node for each position, then keys of layers."""

    cycles: tuple[Ints, ...]
    """Layers that each cycle of the plan still has to train, in the order in which the process does or, where
    it is free, by index."""
    able: Bools
    """[n_nodes, n_middle]: who could train what; every layer of a cycle has somebody."""
    free: bool
    """Whether keys order the layers."""
    n_positions: int

    @classmethod
    def of(cls, state: PlanState, n_positions: int) -> Genome:
        """Of plans of at most so many hops from a state (B = 1)."""
        view = state.view
        able = view.nodes.reachable[:, None] & view.fits
        able &= (state.battery_j[0] > 0)[:, None]
        order = np.flatnonzero(able.any(axis=0))
        if view.layer_order == "reverse":
            order = order[::-1]
        rest = order[~state.trained_in_cycle[0][order]]
        whole = len(order) == view.n_middle  # else no cycle will ever be complete
        later = -(-max(0, n_positions - len(rest)) // view.n_middle) if whole else 0
        cycles = tuple(c for c in (rest, *[order] * later) if len(c))
        most = min(n_positions, sum(map(len, cycles)))
        return cls(cycles, able, view.layer_order in ("free", "random"), most)

    @property
    def n_genes(self) -> int:
        """Length of an individual."""
        return self.n_positions + len(self.cycles) * int(self.able.shape[1])

    def plan(self, genes: Floats) -> Hops:
        """The plan that genes [n_genes] stand for."""
        nodes, keys = genes[: self.n_positions], genes[self.n_positions :].reshape(len(self.cycles), -1)
        layers = np.concatenate([self._order(*cycle) for cycle in zip(self.cycles, keys, strict=True)])
        hops = []
        for gene, layer in zip(nodes.tolist(), layers.tolist(), strict=False):
            who = np.flatnonzero(self.able[:, layer])
            hops.append(Assignment(int(who[min(int(gene * len(who)), len(who) - 1)]), layer))
        return tuple(hops)

    def _order(self, layers: Ints, keys: Floats) -> Ints:
        """A cycle's layers in the order of its keys [n_middle], if that is free."""
        return layers[np.argsort(keys[layers], kind="stable")] if self.free else layers

    def genes(self, plan: Hops) -> Floats:
        """[n_genes] that stand for a plan that is possible; what it leaves open is in the middle."""
        genes = np.full(self.n_genes, 0.5)
        keys = genes[self.n_positions :].reshape(len(self.cycles), -1)
        keys[:] = 1.0
        ends = np.cumsum([len(c) for c in self.cycles])
        for t, hop in enumerate(plan[: self.n_positions]):
            who = np.flatnonzero(self.able[:, hop.layer])
            genes[t] = (int(np.searchsorted(who, hop.node)) + 0.5) / len(who)
            keys[int(np.searchsorted(ends, t, side="right")), hop.layer] = (t + 1) / (self.n_positions + 2)
        return genes
