"""What a learned value knows of a state, be it one of a process or one that is only planned."""

from __future__ import annotations

import numpy as np

from snakegym.agents.planning.fitted.features import imbalance
from snakegym.agents.planning.promise import Promise
from snakegym.agents.planning.state import PlanState
from snakegym.control.view import Floats

TRAITS = (
    "metric",  # accuracy
    "recent_gain",  # running mean of the gains
    "hops",  # log(1 + hops)
    "cycle",  # log(1 + cycle)
    "trained",  # share of the middle layers trained in this cycle
    "time_left",  # share of the budget
    "least_left",  # of the budget of which the smallest share is left
    "imbalance",  # distance of the labels trained recently from all nodes' together
    "best",  # reward that the best next hop promises
    "of_nodes",  # mean over nodes of the same for each
    "scale",  # how far expected gains came true: see `CalibratedGain`
)
LEAST, MOST = -1.0, 2.0
"""Promised rewards count as at least and at most that: where none is possible, the least."""


def traits(state: PlanState, expected: Promise, scale: float) -> Floats:
    """[B, TRAITS].

    Args:
        state: B plans.
        expected: of their next hops.
        scale: how far gains came true so far.
    """
    view, budget = state.view, state.view.budget
    time_left = 1 - state.clock_s / budget.time_s
    shares = [time_left, 1 - (state.hops + view.waits) / budget.decisions]
    if budget.energy_j is not None:
        shares.append(1 - state.energy_j / budget.energy_j)
    if budget.hops is not None:
        shares.append(1 - state.hops / budget.hops)
    of_node = np.clip(expected.reward.max(axis=2), LEAST, MOST)
    columns = {
        "metric": state.metric,
        "recent_gain": state.recent_gain,
        "hops": np.log1p(state.hops),
        "cycle": np.log1p(state.cycle),
        "trained": state.trained_in_cycle.mean(axis=1),
        "time_left": time_left,
        "least_left": np.min(shares, axis=0),
        "imbalance": imbalance(state),
        "best": of_node.max(axis=1),
        "of_nodes": of_node.mean(axis=1),
        "scale": np.full(len(state), scale),
    }
    return np.stack([columns[name] for name in TRAITS], axis=1)
