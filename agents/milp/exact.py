"""The programme as a mixed-integer linear one, solved by HiGHS: for small ones, to the end."""

from __future__ import annotations

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array, csr_array

from snakegym.agents.milp.programme import Programme, Solution
from snakegym.control.view import Floats, Ints

MAX_BRANCHES = 1000
"""Limit on nodes of HiGHS's search tree, so that the answer never depends on the clock."""


def solve_exactly(programme: Programme) -> Solution:
    """The best path, and the bound that HiGHS proved; an empty path if it gave up without any.

    Binary variables: pair (node, layer) at each position; where the model is handed on, also from which node
    to which before each position but the first, the flow along which is integral by itself; further visits.
    """
    columns = _Columns(programme)
    rows, lower, upper = columns.constraints()
    result = milp(
        -columns.objective,
        integrality=columns.integral,
        bounds=Bounds(0, columns.most),
        constraints=LinearConstraint(rows, lower, upper),
        options={"mip_rel_gap": 1e-9, "node_limit": MAX_BRANCHES},
    )
    none = np.empty(0, dtype=np.int64)
    bound = np.inf if result.mip_dual_bound is None else max(0.0, -float(result.mip_dual_bound))
    if result.x is None:
        return Solution(none, none, 0.0, bound)
    position, node, layer = (a[result.x[: len(columns.pair)] > 0.5] for a in columns.pair.T)
    nodes, layers = node[np.argsort(position)], layer[np.argsort(position)]
    total = float(programme.worth(nodes, layers)[-1])
    return Solution(nodes, layers, total, max(bound, total))


class _Columns:
    """Variables: pairs [P], then arcs [A], then further visits [blocks x N]."""

    def __init__(self, programme: Programme) -> None:
        self.programme = programme
        self.pair = np.argwhere(programme.timely)
        """[P, 3]: position, node, layer."""
        n_positions, n_nodes, _ = programme.shape
        hands_on = programme.handing is not None
        arcs = np.argwhere(np.ones((n_positions, n_nodes, n_nodes), dtype=np.bool_))
        self.arc: Ints = arcs[arcs[:, 0] > 0] if hands_on else arcs[:0]
        """[A, 3]: position, from, to."""
        self.n_further = len(programme.blocks) * n_nodes
        self.first_arc, self.first_further = len(self.pair), len(self.pair) + len(self.arc)
        again = np.tile(programme.again, len(programme.blocks))
        self.most = np.ones(self.first_further + self.n_further)
        self.most[self.first_further :] = np.where(np.isfinite(again), n_positions, 0)
        handing = np.zeros(0) if programme.handing is None else programme.handing[tuple(self.arc.T)]
        self.objective: Floats = np.concatenate(
            [programme.value[tuple(self.pair.T)], -handing, -np.where(np.isfinite(again), again, 0.0)]
        )
        self.integral = np.zeros(len(self.objective), dtype=np.int64)
        self.integral[: self.first_arc] = 1

    def constraints(self) -> tuple[csr_array, Floats, Floats]:
        """Matrix, lower and upper bounds of its rows."""
        parts = [*self._positions(), *self._uses(), *self._path(), self._time()]
        row = np.concatenate([r + sum(p[3] for p in parts[:i]) for i, (r, *_) in enumerate(parts)])
        column = np.concatenate([p[1] for p in parts])
        entry = np.concatenate([p[2] for p in parts])
        upper = np.concatenate([p[4] for p in parts])
        lower = np.concatenate([p[5] for p in parts])
        matrix = coo_array((entry, (row, column)), shape=(len(upper), len(self.objective)))
        return csr_array(matrix), lower, upper

    def _positions(self) -> list[_Rows]:
        """One pair a position, and none after an empty one."""
        p, n = np.arange(self.first_arc), self.programme.shape[0]
        t = self.pair[:, 0]
        one = _rows(t, p, np.ones(len(p)), np.ones(n))
        later = t > 0
        row = np.concatenate([t[later] - 1, t[t < n - 1]])
        column = np.concatenate([p[later], p[t < n - 1]])
        sign = np.concatenate([np.ones(later.sum()), -np.ones((t < n - 1).sum())])
        return [one, _rows(row, column, sign, np.zeros(n - 1))]

    def _uses(self) -> list[_Rows]:
        """Each layer once a block; each node once a block, but for further visits."""
        programme, p = self.programme, np.arange(self.first_arc)
        _, n_nodes, n_layers = programme.shape
        t, node, layer = self.pair.T
        block, n_blocks = programme.block[t], len(programme.blocks)
        further = np.arange(self.n_further)
        visits = _rows(
            np.concatenate([block * n_nodes + node, further]),
            np.concatenate([p, self.first_further + further]),
            np.concatenate([np.ones(len(p)), -np.ones(self.n_further)]),
            np.ones(self.n_further),
        )
        if programme.repeats:
            return [visits]
        return [visits, _rows(block * n_layers + layer, p, np.ones(len(p)), np.ones(n_blocks * n_layers))]

    def _path(self) -> list[_Rows]:
        """Whoever trains was handed the model, and only by who trained before."""
        if not len(self.arc):
            return []
        n_positions, n_nodes, _ = self.programme.shape
        p, a = np.arange(self.first_arc), self.first_arc + np.arange(len(self.arc))
        (t, node, _), (at, sender, receiver) = self.pair.T, self.arc.T
        n = (n_positions - 1) * n_nodes
        later, before = t > 0, t < n_positions - 1
        received = _rows(
            np.concatenate([(t[later] - 1) * n_nodes + node[later], (at - 1) * n_nodes + receiver]),
            np.concatenate([p[later], a]),
            np.concatenate([np.ones(later.sum()), -np.ones(len(a))]),
            np.zeros(n),
            np.zeros(n),
        )
        sent = _rows(
            np.concatenate([(at - 1) * n_nodes + sender, t[before] * n_nodes + node[before]]),
            np.concatenate([a, p[before]]),
            np.concatenate([np.ones(len(a)), -np.ones(before.sum())]),
            np.zeros(n),
        )
        return [received, sent]

    def _time(self) -> _Rows:
        programme = self.programme
        seconds = programme.time_s[tuple(self.pair.T)]
        if programme.handing_s is not None:
            seconds = np.concatenate([seconds, programme.handing_s[tuple(self.arc.T)]])
        column = np.arange(len(seconds))
        return _rows(np.zeros_like(column), column, seconds, np.array([programme.left_s]))


_Rows = tuple[Ints, Ints, Floats, int, Floats, Floats]
"""Rows, columns and entries of a part of the matrix, its number of rows, upper and lower bounds."""


def _rows(row: Ints, column: Ints, entry: Floats, upper: Floats, lower: Floats | None = None) -> _Rows:
    return row, column, entry, len(upper), upper, np.full(len(upper), -np.inf) if lower is None else lower
