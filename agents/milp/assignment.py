"""The programme where nothing is handed on: linear assignment of layers to nodes, block by block.

Kuhn's assignment problem, solved by scipy's `linear_sum_assignment` (Crouse 2016, DOI
10.1109/TAES.2016.140952). A node's further visits are further rows, at a price. Where time is short it is
priced; the price is found by bisection, and gives the bound.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from snakegym.agents.milp.programme import IMPOSSIBLE, Programme, Solution, best_beginning
from snakegym.control.view import Floats

BISECTIONS = 24

Pairs = list[tuple[int, int]]
"""Of node and layer, in order."""


def solve_assignment(programme: Programme) -> Solution:
    """The best pairs of each block, most valuable first, with a bound; exact while time is not short.

    `value` and `time_s` of a block are those of its first position.
    """
    price, low, high = 0.0, 0.0, np.inf
    best, bound = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), 0.0), np.inf
    for _ in range(BISECTIONS):
        pairs, value = _chosen(programme, price)
        bound = min(bound, value + price * programme.left_s)
        nodes, layers = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        best = max(best, best_beginning(programme, nodes, layers), key=lambda plan: plan[2])
        late = programme.time_s[np.arange(len(nodes)), nodes, layers].sum() > programme.left_s
        if not late and price == 0:
            break
        low, high = (price, high) if late else (low, price)
        price = _dearest(programme) / 2**8 if price == 0 else min(2 * price, (low + high) / 2)
    return Solution(*best, max(bound, best[2]))


def _dearest(programme: Programme) -> float:
    """What a second is worth at most."""
    return float(np.max(programme.value[programme.timely] / programme.time_s[programme.timely]))


def _chosen(programme: Programme, price: float) -> tuple[Pairs, float]:
    """Pairs of all blocks at this price of a second, and what they are worth: blocks depend on none before.

    A later block is reached if all layers of those before are trained, which may be worth it though some
    of them are not.
    """
    pairs: Pairs = []
    value = 0.0
    for block in reversed(programme.blocks):
        worth = np.full(programme.shape[1:], IMPOSSIBLE)
        timely = programme.timely[block.start]  # others may take for ever, which is no number at any price
        worth[timely] = programme.value[block.start][timely] - price * programme.time_s[block.start][timely]
        part, brings = _match(worth, programme.again, block.stop - block.start, complete=False)
        if value > 0:
            whole, costs = _match(worth, programme.again, block.stop - block.start, complete=True)
            if costs + value > brings:
                pairs, value = whole + pairs, costs + value
                continue
        pairs, value = part, brings
    return pairs, value


def _match(worth: Floats, again: Floats, most: int, complete: bool) -> tuple[Pairs, float]:
    """The best pairs, most valuable first, and their value.

    Args:
        worth: [N, M].
        again: [N].
        most: how many layers are to be trained at most.
        complete: whether it has to be as many, else only what is worth while.
    """
    n_nodes, n_layers = worth.shape
    further = np.maximum(worth - again[:, None], IMPOSSIBLE)
    n_copies = n_layers if complete or (further > 0).any() else 1
    rows = np.concatenate([worth, *[further] * (n_copies - 1)])
    # Further rows take the layers that are too many.
    idle = np.full((n_layers - most, n_layers), -IMPOSSIBLE)
    who, what = linear_sum_assignment(
        np.concatenate([rows if complete else np.maximum(rows, 0.0), idle]), maximize=True
    )
    used = who < len(rows)
    who, what = who[used], what[used]
    gains = rows[who, what]
    order = np.argsort(-gains, kind="stable")
    if not complete:
        order = order[gains[order] > 0]
    return [(int(who[i]) % n_nodes, int(what[i])) for i in order], float(gains[order].sum())
