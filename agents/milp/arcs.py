"""The integer programme behind the MILP scheduler: its arcs, constraints and costs.

A plan has up to T positions, one for each remaining layer, in a fixed order; the node of each
position is to be chosen, and after which position to stop. What a node must receive depends on when
it was visited last: the longer ago, the more layers have changed since. So a binary variable is not
just "node j at position t" but an *arc* (t, i, j, s): at position t node j takes over from node i,
and j's last visit was at position s (-1: before the plan). Then bytes, time and energy of an arc
are constants, and a plan is

- a path: what leaves (i, t) to position t + 1 has entered it;
- with consecutive visits: an arc that names s as the last visit of j uses that visit up, so each
  visit (and the state before the plan) is named at most once. Each visit needs one of those
  before it, hence by induction it names exactly the last one.

This is exact, and its linear relaxation was integral nearly always when tried. In client-server mode
the model always comes from the PCE, so the handing on is left out: arcs are (t, j, s).

Where k nodes train together, j is the one that is chosen, and its companions are added to its costs
(`control.forecast`). For the plan's first hop, the only one that is carried out as planned, that is
as exact as the forecast. Later companions are those that would be shortest, with the model of the
hop before: they are mostly the same nodes throughout. That some node was a companion before does not
enter into what it lacks when it is chosen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.sparse import csc_array

from snakegym.control.forecast import (
    Rates,
    expected_rates,
    forecast,
    hop_flops,
    receive_rate,
    receive_rtt,
    upload_bytes,
)
from snakegym.control.view import Floats, Ints, ProcessView
from snakegym.network import costs
from snakegym.network.records import PCE


@dataclass(frozen=True)
class Arcs:
    """All arcs of a plan of `n_positions` over `n_nodes`, and the constraints on them.

    Constraints: matrix @ x <= upper, x binary. Arrays of arcs are [n_arcs].
    """

    n_positions: int
    n_nodes: int
    position: Ints
    sender: Ints
    """Node that hands on; -1 where the model comes from wherever it was before the plan."""
    node: Ints
    last: Ints
    """Position of the node's last visit; -1: before the plan."""
    matrix: csc_array
    upper: Floats


@dataclass(frozen=True)
class ArcCosts:
    """Costs of each arc [n_arcs] at the rates expected from the view."""

    time_s: Floats
    energy_j: Floats
    n_bytes: Floats


@lru_cache(maxsize=64)
def build_arcs(n_positions: int, n_nodes: int, handing_on: bool) -> Arcs:
    """Arcs and constraints; `handing_on` is False in client-server mode."""
    shape = (n_positions, n_nodes + 1, n_nodes, n_positions + 1)
    position, sender, node, last = (a.ravel() for a in np.indices(shape))
    sender, last = sender - 1, last - 1
    keep = last < position
    if handing_on:
        keep &= (sender < 0) == (position == 0)
        # Whoever was visited one position ago is the one who hands on, to itself.
        keep &= (position == 0) | ((sender == node) == (last == position - 1))
    else:
        keep &= sender < 0
    position, sender, node, last = (a[keep] for a in (position, sender, node, last))
    matrix, upper = _constraints(n_positions, n_nodes, position, sender, node, last, handing_on)
    return Arcs(n_positions, n_nodes, position, sender, node, last, csc_array(matrix), upper)


def _constraints(
    n_positions: int, n_nodes: int, position: Ints, sender: Ints, node: Ints, last: Ints, handing_on: bool
) -> tuple[Floats, Floats]:
    """Matrix [n_rows, n_arcs] and upper bounds [n_rows]."""
    times, places = (a.reshape(-1, 1) for a in np.indices((n_positions, n_nodes)))
    enters = ((position == times) & (node == places)).astype(np.float64)
    uses_up = (last == times) & (node == places)
    starts = (position == 0).astype(np.float64)[None]
    if handing_on:
        goes_on = (position == times + 1) & (sender == places)
        path = (goes_on - enters)[:-n_nodes]
    else:
        at = (position == np.arange(n_positions)[:, None]).astype(np.float64)
        path = at[1:] - at[:-1]
    visits = (uses_up - enters)[:-n_nodes]
    unvisited = ((last < 0) & (node == np.arange(n_nodes)[:, None])).astype(np.float64)
    upper = np.concatenate([np.ones(1), np.zeros(len(path) + len(visits)), np.ones(n_nodes)])
    return np.concatenate([starts, path, visits, unvisited]), upper


def arc_costs(view: ProcessView, layers: Ints, arcs: Arcs, nodes: Ints) -> ArcCosts:
    """What each arc costs if rates stay as expected from the view (`control.forecast`).

    Args:
        view: the state before the plan.
        layers: [n_positions]: middle layer trained at each position.
        arcs: over `len(nodes)` candidates.
        nodes: [arcs.n_nodes]: index of each candidate among the view's nodes.
    """
    rates = expected_rates(view)
    node, layer = nodes[arcs.node], layers[arcs.position]
    sender = np.where(arcs.sender < 0, view.holder, nodes[arcs.sender])
    rate, rtt = _links(view, rates)
    missing = _missing_bytes(view, layers, nodes)[arcs.node, arcs.last + 1, arcs.position]
    upload = upload_bytes(view)[layer]
    flops = hop_flops(view)[node, layer]
    peak, own_rtt = view.nodes.peak_flops[node], view.nodes.rtt_s[node]
    radio_w = view.nodes.radio_power_w
    sender_w = np.where(sender == PCE, 0.0, radio_w[sender])

    receive_air = costs.air_time(missing, rate[sender, node])
    send_air = costs.air_time(upload, rates.uplink_bps[node])
    alone = ArcCosts(
        time_s=costs.transfer_time(missing, rate[sender, node], rtt[sender, node])
        + costs.compute_time(flops, peak, rates.availability[node])
        + costs.transfer_time(upload, rates.uplink_bps[node], own_rtt),
        energy_j=costs.radio_energy(radio_w[node] + sender_w, receive_air)
        + costs.compute_energy(view.nodes.compute_power_w[node], costs.busy_time(flops, peak))
        + costs.radio_energy(radio_w[node], send_air),
        n_bytes=missing + upload,
    )
    return alone if view.parallel == 1 else _together(view, layers, arcs, node, alone)


def _together(view: ProcessView, layers: Ints, arcs: Arcs, node: Ints, alone: ArcCosts) -> ArcCosts:
    """Costs of each arc with the companions that its node [n_arcs] would get."""
    slowest, energy, n_bytes = np.zeros((3, len(layers), view.n_nodes))
    for t, layer in enumerate(layers):
        then = view if t == 0 else _after_hop(view, int(layers[t - 1]))
        own, all_k = forecast(replace(then, parallel=1)), forecast(then)
        slowest[t] = all_k.time_s[:, layer]
        reached = np.isfinite(own.time_s[:, layer])
        np.subtract(all_k.energy_j[:, layer], own.energy_j[:, layer], out=energy[t], where=reached)
        np.subtract(all_k.n_bytes[:, layer], own.n_bytes[:, layer], out=n_bytes[t])
    at = arcs.position, node
    return ArcCosts(
        np.maximum(alone.time_s, slowest[at]), alone.energy_j + energy[at], alone.n_bytes + n_bytes[at]
    )


def _after_hop(view: ProcessView, trained: int) -> ProcessView:
    """What companions start from after a hop that trained this layer: each holds its own update of it."""
    changed = (view.layer_bytes[[0, trained + 1, -1]] if view.keeps_frozen else view.layer_bytes).sum()
    nodes = replace(view.nodes, missing_bytes=np.full(view.n_nodes, changed))
    legal = view.nodes.reachable[:, None] & (view.nodes.memory_bytes[:, None] >= view.layers.memory_bytes)
    return replace(view, nodes=nodes, legal=legal)


def _links(view: ProcessView, rates: Rates) -> tuple[Floats, Floats]:
    """Rate and round-trip time, each [sender, node]; the PCE as sender is the last row (index -1)."""
    senders = [*range(view.n_nodes), PCE]
    rate = np.stack([receive_rate(rates, sender) for sender in senders])
    return rate, np.stack([receive_rtt(view, sender) for sender in senders])


def _missing_bytes(view: ProcessView, layers: Ints, nodes: Ints) -> Floats:
    """[candidate, s + 1, t]: bytes that a candidate lacks at t if its last visit was at s < t.

    After a visit a node holds everything (what it trained alone, where it keeps nothing else as it was), but
    the visit's own changes where the PCE averages those of several nodes; every later hop changes first,
    last and its own layer.
    """
    n_positions, n_layers = len(layers), len(view.layer_bytes)
    hop, s, t = np.indices((n_positions, n_positions + 1, n_positions))
    last = s - 1
    between = (hop < t) & (hop > last if view.parallel == 1 else hop >= last)
    trained = np.zeros((n_positions, n_layers), dtype=np.bool_)
    trained[:, [0, -1]] = True
    trained[np.arange(n_positions), layers + 1] = True
    changed = np.einsum("hst,hk->stk", between, trained) > 0
    if not view.keeps_frozen:
        changed[1:] |= ~trained[:, None]
    lacking = np.broadcast_to(changed, (len(nodes), *changed.shape)).copy()
    lacking[:, 0] |= ~view.held[nodes][:, None]
    missing: Floats = lacking @ view.layer_bytes
    return missing
