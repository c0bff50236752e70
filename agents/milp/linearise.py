"""From a state to the integer programme: gains and costs of every pair at every position of a plan.

What a hop brings and costs depends on all hops before it. Here it is taken from a *reference*, a plan that
is followed hop by hop: at position t the metric, the labels trained recently and the layers that have changed
are those of the reference; every node is as it is now, but for them. So coefficients are exact for the first
position, and nearly so for plans like the reference. The solution is followed exactly, and is the next
reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import pairwise

import numpy as np

from snakegym.agents.milp.programme import Programme
from snakegym.agents.planning.gain import GainModel
from snakegym.agents.planning.outlook import HopCosts, Outlook
from snakegym.agents.planning.promise import Promise, promise
from snakegym.agents.planning.state import PlanState
from snakegym.control.forecast import price
from snakegym.control.nodes.holdings import LABEL_MEMORY
from snakegym.control.view import Floats

MOST_VISITS_TRIED = 32
"""Nodes, the most promising ones, of which is found out what a second visit would lose."""


def linearise(reference: Sequence[PlanState], gains: GainModel, outlook: Outlook, second: float) -> Programme:
    """The programme around the states before each hop of a reference, the first of them the present one.

    Args:
        reference: each one plan; the programme has as many positions.
        gains: what hops bring.
        outlook: what they cost.
        second: further price of a second, for the time that is left when the plan is over.
    """
    now, view = reference[0], reference[0].view
    states, cycle = _neutral(reference), np.concatenate([state.cycle for state in reference])
    hands_on = view.mode == "p2p"
    receives = outlook.hop_costs(states)
    own = outlook.hop_costs(replace(states, lacking=np.zeros_like(states.lacking))) if hands_on else receives
    gain = view.objective.gain * gains.expected(states) * own.delivered
    value = gain - _price(states, own, second)
    time_s = own.time_s.copy()
    if hands_on:
        value[0] = gain[0] - _price(states, receives, second)[0]
        time_s[0] = receives.time_s[0]
    first = promise(now, gains, outlook)
    able = states.legal & (own.node_energy_j <= now.battery_j[:, :, None]) & np.isfinite(own.time_s)
    able[0] = first.possible[0]
    value = np.where(able, value, -np.inf)
    if not hands_on:  # what is assigned has no position: that of the middle of its cycle stands for all
        start = np.searchsorted(cycle, cycle)
        middle = (start + np.searchsorted(cycle, cycle, side="right") - 1) // 2
        value, time_s = np.where(able[start], value[middle], -np.inf), time_s[middle]
    handing, handing_s = _handing(states, outlook, second) if hands_on else (None, None)
    return Programme(
        value,
        time_s,
        handing,
        handing_s,
        block=cycle - cycle[0],
        again=_again(reference, value, first, gains),
        left_s=float(view.budget.time_s - now.clock_s[0]),
        repeats=view.repeat_layers and view.layer_order == "free",
    )


def _price(states: PlanState, costs: HopCosts, second: float) -> Floats:
    """[T, N, M]."""
    price_of_all = costs.price(states.view.objective)
    return price_of_all + second * costs.time_s if second else price_of_all


def _neutral(reference: Sequence[PlanState]) -> PlanState:
    """[T] plans: the states of the reference, as if none of its visits had been to the node in question.

    Nor was, in the present cycle, the layer in question trained.
    """
    now, view = reference[0], reference[0].view
    arrays = {f.name: np.concatenate([getattr(s, f.name) for s in reference]) for f in fields(now)[1:]}
    cycle = arrays["cycle"]
    start = np.searchsorted(cycle, cycle)
    changed = np.zeros((len(reference), len(view.layer_bytes)))
    """Bytes that whoever had the layers at first lacks by then."""
    for t, (one, after) in enumerate(pairwise(reference)):
        layer, node = (
            int((b - a)[0].argmax())
            for a, b in ((one.times_trained, after.times_trained), (one.visits, after.visits))
        )
        changed[t + 1] = changed[t]
        changed[t + 1, list(view.trained.ends)] = np.inf
        changed[t + 1, layer + 1] += view.changed_bytes[node, layer]
    same = {
        name: np.repeat(getattr(now, name), len(reference), axis=0)
        for name in ("battery_j", "visits", "node_gain", "pair_gain", "last_hop")
    }
    own_layer = ["times_trained", "layer_gain"]
    if view.layer_order == "free":  # else a position has its layer
        own_layer.append("trained_in_cycle")
    per_cycle = {name: arrays[name][start] for name in own_layer}
    lacking = np.minimum(now.lacking + changed[:, None, :], view.layer_bytes)
    return PlanState(view=view, **{**arrays, **same, **per_cycle, "lacking": lacking})


def _handing(states: PlanState, outlook: Outlook, second: float) -> tuple[Floats, Floats]:
    """[T, N, N] each: price and seconds of handing on from node to node before each position.

    Rates are those expected in the middle of the plan; what is sent is what the receiver lacks then.
    """
    view, n, t = states.view, states.view.n_nodes, len(states)
    middle = states.take(np.full(n, t // 2))
    sent = outlook.hop_costs(replace(middle, holder=np.arange(n)))
    own = outlook.hop_costs(replace(middle, holder=np.arange(n), lacking=np.zeros_like(middle.lacking)))
    layer = 0
    with np.errstate(invalid="ignore"):
        seconds = np.maximum(sent.time_s[:, :, layer] - own.time_s[:, :, layer], 0.0)
        energy = np.maximum(sent.energy_j[:, :, layer] - own.energy_j[:, :, layer], 0.0)
        n_bytes = sent.n_bytes[:, :, layer] - own.n_bytes[:, :, layer]
    possible = np.isfinite(seconds) & np.isfinite(energy)
    seconds, energy = np.where(possible, seconds, 0.0), np.where(possible, energy, 0.0)
    cost = price(view.objective, seconds, energy, n_bytes) + second * seconds
    cost = np.where(possible, cost, 1e6)
    missing = states.missing_bytes
    share = missing / np.maximum(missing[t // 2], 1.0)
    away = ~np.eye(n, dtype=np.bool_)  # who goes on by itself has everything
    return share[:, None, :] * (cost * away), share[:, None, :] * (seconds * away)


def _again(reference: Sequence[PlanState], value: Floats, first: Promise, gains: GainModel) -> Floats:
    """[N]: what a second visit in the same cycle is expected to lose of a hop's gain.

    That is what the gain model takes off right after the first, less what is forgotten of its labels by half
    a cycle later, when the second comes on average.
    """
    now, view = reference[0], reference[0].view
    able = np.flatnonzero(np.isfinite(value[0]).any(axis=1))
    best = value[0].max(axis=1)
    tried = able[np.argsort(-best[able], kind="stable")[:MOST_VISITS_TRIED]]
    again = np.zeros(view.n_nodes)
    if len(tried) == 0 or len(reference) < 2:
        return again
    layer = value[0][tried].argmax(axis=1)
    many, at = now.take(np.zeros(len(tried), dtype=np.int64)), (0, tried, layer)
    costs = first.costs
    visited = many.after(
        tried,
        layer,
        time_s=costs.time_s[at],
        energy_j=costs.energy_j[at],
        gain=first.gain[at],
        node_energy_j=costs.node_energy_j[at],
    )
    after = gains.expected(visited)
    # The other nodes' labels come in between.
    lost = (first.gain[0][tried] - after[np.arange(len(tried)), tried]).mean(axis=1)
    lag = min(len(reference), view.n_middle) / 2
    again[tried] = view.objective.gain * np.maximum(0.0, lost) * LABEL_MEMORY ** (lag - 1)
    rest = np.setdiff1d(np.arange(view.n_nodes), tried)
    again[rest] = np.median(again[tried])
    return again
