"""The programme by Lagrangian relaxation: a longest path for each set of multipliers, and a certified gap.

That a layer is trained once a block, that a further visit costs, and that time is short are priced instead of
imposed; what is left is a longest path through positions and nodes, found by dynamic programming. Its value
is at least the optimum for any prices (weak duality); its path, with layers assigned anew and nodes exchanged
one at a time, is a plan. Prices follow subgradients with Polyak's step (Held, Wolfe and Crowder 1974, DOI
10.1007/BF01580223).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snakegym.agents.milp.programme import IMPOSSIBLE, Programme, Solution, best_beginning
from snakegym.control.view import Floats, Ints

TOLERANCE = 1e-6
"""Gap at which a solution counts as optimal, in reward units or relative."""
MAX_STEPS = 60
"""Paths that are looked for; twice as many take half a percent off the gap."""
MAX_SWEEPS = 5
"""Of exchanges over a path."""
PATIENCE = 12
"""Steps without a better bound after which steps are halved."""


@dataclass
class _Prices:
    """Multipliers: what is paid for the use of a layer and of a node in a block, and of a second."""

    layer: Floats
    """[blocks, M]."""
    node: Floats
    """[blocks, N]."""
    second: float


def solve_lagrangian(programme: Programme, max_steps: int = MAX_STEPS) -> Solution:
    """The best plan met on the way, and the best bound; the search ends after so many paths."""
    (_, n_nodes, n_layers), n_blocks = programme.shape, len(programme.blocks)
    prices = _Prices(np.zeros((n_blocks, n_layers)), np.zeros((n_blocks, n_nodes)), 0.0)
    empty = np.empty(0, dtype=np.int64)
    nodes, layers, total, bound = empty, empty, 0.0, np.inf
    scale, stalled = 1.0, 0
    for _ in range(max_steps):
        value, path, chosen = _longest_path(programme, prices)
        bound, stalled = (value, 0) if value < bound - 1e-12 else (bound, stalled + 1)
        candidate = _repaired(programme, path)
        found = best_beginning(programme, candidate, programme.layers_for(candidate))
        if found[2] > total:
            nodes, layers, total = improved(programme, *found)
        if bound - total <= TOLERANCE * max(1.0, abs(total)):
            break
        if stalled >= PATIENCE:
            scale, stalled = scale / 2, 0
        if not _step(programme, prices, path, chosen, scale * (value - total)):
            break
    return Solution(nodes, layers, total, max(bound, total))


def _longest_path(programme: Programme, prices: _Prices) -> tuple[float, Ints, Ints]:
    """Value of the relaxed programme at these prices, its path's nodes and layers."""
    n_positions, n_nodes, _ = programme.shape
    pairs = np.where(programme.timely, programme.value, IMPOSSIBLE)
    if prices.second:
        pairs = pairs - prices.second * programme.time_s
    if not programme.repeats:
        pairs = pairs - prices.layer[programme.block][:, None, :]
    layer = pairs.argmax(axis=2)
    own = np.take_along_axis(pairs, layer[:, :, None], axis=2)[:, :, 0] - prices.node[programme.block]
    best, before = np.empty((n_positions, n_nodes)), np.zeros((n_positions, n_nodes), dtype=np.int64)
    best[0] = own[0]
    for t in range(1, n_positions):
        if programme.handing is None or programme.handing_s is None:
            before[t] = best[t - 1].argmax()
            best[t] = own[t] + best[t - 1].max()
            continue
        step = best[t - 1][:, None] - programme.handing[t]
        if prices.second:
            step -= prices.second * programme.handing_s[t]
        before[t] = step.argmax(axis=0)
        best[t] = own[t] + step[before[t], np.arange(n_nodes)]
    last, node = divmod(int(best.argmax()), n_nodes)
    charged = prices.layer.sum() + prices.node.sum() + prices.second * programme.left_s
    if best[last, node] <= 0:
        return float(charged), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    path = np.empty(last + 1, dtype=np.int64)
    path[last] = node
    for t in range(last, 0, -1):
        path[t - 1] = before[t, path[t]]
    return float(best[last, node] + charged), path, layer[np.arange(last + 1), path]


def _step(programme: Programme, prices: _Prices, path: Ints, chosen: Ints, reach: float) -> bool:
    """Move the prices against what the path uses too much or too little of; False: nothing to move."""
    t = np.arange(len(path))
    node, layer = np.ones_like(prices.node), np.ones_like(prices.layer)
    np.subtract.at(node, (programme.block[t], path), 1.0)
    np.subtract.at(layer, (programme.block[t], chosen), 1.0)
    if programme.repeats:
        layer[:] = 0.0
    time_s = programme.time_s[t, path, chosen].sum()
    if programme.handing_s is not None:
        time_s += programme.handing_s[t[1:], path[:-1], path[1:]].sum()
    unit = programme.left_s / max(1, len(t))  # seconds count in units of a hop's
    second = (programme.left_s - time_s) / unit
    # Prices at their limits that would go beyond stay where they are.
    node[((prices.node <= 0) & (node > 0)) | ((prices.node >= programme.again) & (node < 0))] = 0.0
    layer[(prices.layer <= 0) & (layer > 0)] = 0.0
    if prices.second <= 0 and second > 0:
        second = 0.0
    norm = (node**2).sum() + (layer**2).sum() + second**2
    if norm == 0 or reach <= 0:
        return False
    size = reach / norm
    prices.node = np.clip(prices.node - size * node, 0.0, programme.again)
    prices.layer = np.maximum(0.0, prices.layer - size * layer)
    prices.second = max(0.0, prices.second - size * second / unit)
    return True


def improved(programme: Programme, nodes: Ints, layers: Ints, total: float) -> tuple[Ints, Ints, float]:
    """A path at least as good: nodes exchanged one at a time, layers assigned anew, while that helps."""
    for _ in range(MAX_SWEEPS):
        path = nodes.copy()
        for t in range(len(path)):
            path[t] = int(_at(programme, path, layers, t).argmax())
        if np.array_equal(path, nodes):
            break
        found = best_beginning(programme, path, programme.layers_for(path))
        if found[2] <= total:
            break
        nodes, layers, total = found
    return nodes, layers, total


def _at(programme: Programme, path: Ints, layers: Ints, t: int) -> Floats:
    """[N]: what each node would be worth at a position of this path, all others as they are."""
    possible = programme.timely[t, :, layers[t]]
    worth = np.where(possible, programme.value[t, :, layers[t]], IMPOSSIBLE)
    if programme.handing is not None:
        if t > 0:
            worth = worth - programme.handing[t, path[t - 1]]
        if t + 1 < len(path):
            worth = worth - programme.handing[t + 1, :, path[t + 1]]
    block = programme.block[: len(path)]
    others = path[(block == block[t]) & (np.arange(len(path)) != t)]
    worth[others] -= programme.again[others]
    return worth


def _repaired(programme: Programme, path: Ints) -> Ints:
    """The path without visits that are forbidden: each gets the free node that is best at its place."""
    if np.isfinite(programme.again).all():
        return path
    path, value = path.copy(), np.where(programme.timely, programme.value, IMPOSSIBLE).max(axis=2)
    strict = np.isinf(programme.again)
    for t in range(1, len(path)):
        taken = path[:t][programme.block[:t] == programme.block[t]]
        taken = taken[strict[taken]]
        if path[t] not in taken:
            continue
        worth = value[t].copy()
        if programme.handing is not None:
            worth -= programme.handing[t, path[t - 1]]
        worth[taken] = -np.inf
        if worth.max() <= IMPOSSIBLE / 2:
            return path[:t]
        path[t] = int(worth.argmax())
    return path
