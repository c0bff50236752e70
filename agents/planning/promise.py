"""What every next hop of a plan promises: its gain, its costs, and both in reward units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snakegym.agents.planning.gain import GainModel
from snakegym.agents.planning.outlook import HopCosts, Outlook
from snakegym.agents.planning.state import PlanState
from snakegym.control.records import Assignment
from snakegym.control.view import Bools, Floats, Ints

RANK_EXPONENT = 0.25
"""A hop's gain is taken to rise with this power of the rank of its adapters. Between two that were measured
on 40 hops each: 0.5 from rank 4 to 16 on `lm-topics`, where blocks are trained alone; none from rank 1 to 8
on the digits of `default`, where both ends are trained as well.
"""


@dataclass(frozen=True)
class Promise:
    """Of every pair as the next hop of B plans, each [B, n_nodes, n_middle].

    Where ranks are chosen, of the rank that is most rewarding for the pair by itself.
    """

    gain: Floats
    """Expected gain in accuracy, with the chance that the hop is lost."""
    costs: HopCosts
    possible: Bools
    """The pair is legal, the node's battery lasts, and the hop ends, and is measured, in time."""
    reward: Floats
    """Priced gain minus priced costs; -inf where the hop is not possible."""
    changed_bytes: Floats
    """Of the assigned layer, by the hop: what others lack of it afterwards."""
    ranks: Ints | None = None
    """Those; None: there is no choice."""

    def hop(self, node: int, layer: int, plan: int = 0) -> Assignment:
        """The pair as an assignment."""
        rank = None if self.ranks is None else int(self.ranks[plan, node, layer])
        return Assignment(node, layer, rank=rank)


def promise(state: PlanState, gains: GainModel, outlook: Outlook) -> Promise:
    """What a gain model and an outlook expect of all next hops of all plans."""
    view, gain = state.view, gains.expected(state)
    if not view.ranks or view.adapters is None:
        return _promise(state, gain, outlook)
    each = []
    for one in view.ranks:
        share = (one.rank / view.adapters.ranks) ** RANK_EXPONENT
        own = replace(state, view=view.at_rank(one.rank))
        each.append(_promise(own, np.where(gain > 0, share * gain, gain), outlook))
    return _best(each, np.array([one.rank for one in view.ranks]))


def _best(each: Sequence[Promise], ranks: Ints) -> Promise:
    """Of every pair the promise with the highest reward; of equal ones that of the lowest rank."""
    best = np.stack([one.reward for one in each]).argmax(axis=0)[None]

    def pick(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
        whole = np.stack([np.broadcast_to(a, best.shape[1:]) for a in arrays])
        chosen: NDArray[Any] = np.take_along_axis(whole, best, axis=0)[0]
        return chosen

    names = [field.name for field in fields(HopCosts)]
    return Promise(
        gain=pick([one.gain for one in each]),
        costs=HopCosts(**{name: pick([getattr(one.costs, name) for one in each]) for name in names}),
        possible=pick([one.possible for one in each]),
        reward=pick([one.reward for one in each]),
        changed_bytes=pick([one.changed_bytes for one in each]),
        ranks=ranks[best[0]],
    )


def _promise(state: PlanState, gain: Floats, outlook: Outlook) -> Promise:
    objective = state.view.objective
    costs = outlook.hop_costs(state)
    gain = gain * costs.delivered
    left_s = state.view.budget.time_s - state.clock_s
    possible = state.legal & (costs.time_s <= left_s[:, None, None])
    possible &= costs.node_energy_j <= state.battery_j[:, :, None]
    reward = np.where(possible, objective.gain * gain - costs.price(objective), -np.inf)
    return Promise(gain, costs, possible, reward, np.broadcast_to(state.view.changed_bytes, gain.shape))
