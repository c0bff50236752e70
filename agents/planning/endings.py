"""What planners do where no hop is worth its price: wait for somebody, or finish."""

from __future__ import annotations

import numpy as np

from snakegym.agents.planning.gain import GainModel
from snakegym.agents.planning.outlook import Outlook
from snakegym.agents.planning.promise import Promise, promise
from snakegym.agents.planning.search import over
from snakegym.agents.planning.state import PlanState
from snakegym.agents.planning.walk import next_state
from snakegym.control.records import FINISH, Decision
from snakegym.control.view import Floats, ProcessView

FURTHER = 8
"""Hops that are looked at before it is believed that nothing pays any more; more find nothing more."""


def pays_to_go_on(state: PlanState, expected: Promise, gains: GainModel, outlook: Outlook) -> bool:
    """Whether some beginning of a short walk is worth its price; each of its hops is the most rewarding one.

    A hop that does not pay by itself may lead to some that do: it closes a cycle, or brings in labels that
    were forgotten.

    Args:
        state: one plan, where the walk begins.
        expected: of its next hops.
        gains: what hops bring.
        outlook: what they cost.
    """
    value = 0.0
    for hop in range(FURTHER):
        if hop:
            if over(state)[0]:
                break
            expected = promise(state, gains, outlook)
        node, layer = divmod(int(expected.reward[0].argmax()), state.view.n_middle)
        value += float(expected.reward[0, node, layer])
        if value > 0:
            return True
        if value == -np.inf:
            break
        state = next_state(state, expected, np.array([node]), np.array([layer]))
    return False


def wait_or_finish(view: ProcessView, gain: Floats) -> Decision:
    """To wait, if for a node out of reach that pays; else to finish, as every wait costs its time.

    Args:
        view: at the decision.
        gain: [n_nodes, n_middle]: priced expected gain of every next hop, legal or not.
    """
    return None if pays_to_wait(view, gain) else FINISH


def pays_to_wait(view: ProcessView, gain: Floats) -> bool:
    """Whether a node that is out of reach promises more than one wait and a hop at nominal costs.

    Nobody knows when it will be back. While others can be had, it is waited for as long as its recent mean
    rates say that it was there in the measurement window; while nobody can, as long as it could go on at all.
    Arguments as of `wait_or_finish`.
    """
    nodes, objective = view.nodes, view.objective
    able = view.fits & view.layers.open
    able &= (nodes.battery > 0)[:, None]
    if view.legal.any():
        seen = np.minimum(np.minimum(nodes.mean_uplink_bps, nodes.mean_downlink_bps), nodes.mean_availability)
        able &= (nodes.in_pool & ~nodes.reachable & (seen > 0))[:, None]
    promise = float(np.max(gain, where=able, initial=-np.inf))
    costs = objective.time + objective.energy + objective.n_bytes - waiting_reward(view)
    return promise > costs and view.wait_s + objective.nominal.time_s <= view.left_s


def waiting_reward(view: ProcessView) -> float:
    """Reward of one wait: minus the price of its time."""
    return -view.objective.prices()[0] * view.wait_s
