"""Greedy: the next hop that promises most, looking no further."""

from __future__ import annotations

import numpy as np

from snakegym.agents.gain import DEFAULT, GainModel
from snakegym.agents.rules import next_layer
from snakegym.control.forecast import forecast, price
from snakegym.control.records import FINISH, Assignment, Decision
from snakegym.control.view import Floats, ProcessView
from snakegym.scenario import Scenario


class GreedyScheduler:
    """Maximises expected reward: the priced expected gain minus the priced forecast costs.

    A difference and not a ratio of the two, because the scenario's objective is a difference: a
    ratio would favour hops that are nearly free and bring next to nothing. Layers come from early to deep.
    Where no hop on the next layer is worth its price, see `otherwise`.
    """

    def __init__(self, scenario: Scenario, gain: GainModel = DEFAULT) -> None:
        self._gain = gain

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def schedule(self, view: ProcessView) -> Decision:
        """The hop with the best expected reward; ties go to the lower node."""
        gain = view.objective.gain * self._gain.expected(view)
        layer = next_layer(view)
        if layer is not None:
            rewards = hop_rewards(view, gain)[:, layer]
            node = int(np.argmax(rewards))
            if rewards[node] > 0:
                return Assignment(node, layer)
        return otherwise(view, gain)


def hop_rewards(view: ProcessView, gain: Floats) -> Floats:
    """[n_nodes, n_middle]: expected reward of every next hop, given the priced `gain` [n_nodes] of each node.

    -inf where it is not legal or not forecast to end in time: what is not measured brings nothing.
    """
    hop = forecast(view)
    rewards = gain[:, None] - price(view.objective, hop.time_s, hop.energy_j, hop.n_bytes)
    return np.where(view.legal & (hop.time_s <= view.left_s), rewards, -np.inf)


def otherwise(view: ProcessView, gain: Floats) -> Decision:
    """What is left where the hops in sequence are not worth their price.

    The best other hop if that is worth its own; else to wait, if for a node out of reach that pays; else to
    finish, as every wait costs its time.

    Args:
        view: at the decision.
        gain: [n_nodes]: priced expected gain of a hop on each node.
    """
    rewards = hop_rewards(view, gain)
    node, layer = (int(i) for i in np.unravel_index(np.argmax(rewards), rewards.shape))
    if rewards[node, layer] > 0:
        return Assignment(node, layer)
    return None if pays_to_wait(view, gain) else FINISH


def pays_to_wait(view: ProcessView, gain: Floats) -> bool:
    """Whether a node that is out of reach promises more than one wait and a hop at nominal costs.

    Nobody knows when it will be back. While others can be had, it is waited for as long as its recent mean
    rates say that it was there in the measurement window; while nobody can, as long as it could go on at all.
    Arguments as of `otherwise`.
    """
    nodes, objective = view.nodes, view.objective
    able = (nodes.battery > 0) & (nodes.memory_bytes[:, None] >= view.layers.memory_bytes).any(axis=1)
    if view.legal.any():
        seen = np.minimum(np.minimum(nodes.mean_uplink_bps, nodes.mean_downlink_bps), nodes.mean_availability)
        able &= nodes.in_pool & ~nodes.reachable & (seen > 0)
    promise = float(np.max(gain, where=able, initial=-np.inf))
    costs = objective.time + objective.energy + objective.n_bytes - waiting_reward(view)
    return promise > costs and view.wait_s + objective.nominal.time_s <= view.left_s


def waiting_reward(view: ProcessView) -> float:
    """Reward of one wait: minus the price of its time."""
    return -view.objective.prices()[0] * view.wait_s
