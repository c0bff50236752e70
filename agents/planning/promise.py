"""What every next hop of a plan promises: its gain, its costs, and both in reward units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snakegym.agents.planning.gain import GainModel
from snakegym.agents.planning.outlook import HopCosts, Outlook
from snakegym.agents.planning.state import PlanState
from snakegym.control.view import Bools, Floats


@dataclass(frozen=True)
class Promise:
    """Of every pair as the next hop of B plans, each [B, n_nodes, n_middle]."""

    gain: Floats
    """Expected gain in accuracy, with the chance that the hop is lost."""
    costs: HopCosts
    possible: Bools
    """The pair is legal, the node's battery lasts, and the hop ends, and is measured, in time."""
    reward: Floats
    """Priced gain minus priced costs; -inf where the hop is not possible."""


def promise(state: PlanState, gains: GainModel, outlook: Outlook) -> Promise:
    """What a gain model and an outlook expect of all next hops of all plans."""
    objective = state.view.objective
    costs = outlook.hop_costs(state)
    gain = gains.expected(state) * costs.delivered
    left_s = state.view.budget.time_s - state.clock_s
    possible = state.legal & (costs.time_s <= left_s[:, None, None])
    possible &= costs.node_energy_j <= state.battery_j[:, :, None]
    reward = np.where(possible, objective.gain * gain - costs.price(objective), -np.inf)
    return Promise(gain, costs, possible, reward)
