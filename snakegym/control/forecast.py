"""What the next hop would cost, as far as the present lets one say.

Rates are taken to stay as they are expected from the view. On a network whose rates never change
the forecast is exact: the formulas are those of the simulator (`snakegym.network.costs`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snakegym.control.view import Bools, Floats, ProcessView
from snakegym.network import costs
from snakegym.network.records import PCE, Costs
from snakegym.scenario import CompanionRule, Objective

ALL = slice(None)


@dataclass(frozen=True)
class Rates:
    """Expected rates, each [n_nodes]: availability in [0, 1], links in bit/s."""

    availability: Floats
    uplink_bps: Floats
    downlink_bps: Floats


@dataclass(frozen=True)
class HopForecast:
    """Expected costs of every possible next hop, each [n_nodes, n_middle], if no deadline cuts it short.

    A hop that takes longer than `ProcessView.left_s` is one.
    """

    time_s: Floats
    """Infinite where it could not be carried out now."""
    energy_j: Floats
    """Of both ends; there infinite too, unless the radios take no power."""
    n_bytes: Floats
    node_energy_j: Floats
    """Of the node that trains alone: what its battery has to have."""


def price(objective: Objective, time_s: Floats, energy_j: Floats, n_bytes: Floats) -> Floats:
    """Of hops, in reward units; infinite where a hop's time is, whatever time costs. Same shapes."""
    per_second, per_joule, per_byte = objective.prices()
    possible = np.isfinite(time_s)
    seconds, joules = np.where(possible, time_s, 0.0), np.where(possible, energy_j, 0.0)  # 0 x inf is NaN
    total = per_second * seconds + per_joule * joules + per_byte * n_bytes
    return np.where(possible, total, np.inf)


def expected_rates(view: ProcessView) -> Rates:
    """Mean of what is measured now and of the recent mean: links change in tens of seconds, so that
    the present alone says too much about a hop's later part, and the past too little about its start.
    """
    nodes = view.nodes
    return Rates(
        (nodes.availability + nodes.mean_availability) / 2,
        (nodes.uplink_bps + nodes.mean_uplink_bps) / 2,
        (nodes.downlink_bps + nodes.mean_downlink_bps) / 2,
    )


def hop_flops(view: ProcessView, layers: slice = ALL) -> Floats:
    """[n_nodes, n_layers]: FLOPs of a whole hop on each node and layer (default: all middle layers).

    Those of measuring the metric on the node are among them.
    """
    samples = view.nodes.samples.astype(np.float64) * view.epochs
    flops: Floats = samples[:, None] * view.pair_flops[:, layers]
    flops += view.nodes.teacher_flops[:, None] + view.evaluation_flops
    return flops


def upload_bytes(view: ProcessView, lacking_pce: Floats) -> Floats:
    """[..., n_nodes, n_middle]: bytes that a hop uploads to the PCE: what it changes, and what it lacks.

    0 in P2P mode unless it is the PCE that evaluates.

    Args:
        view: of the process.
        lacking_pce: [..., n_middle + 2]: bytes that the PCE lacks of every layer, now or in plans.
    """
    if view.mode == "p2p" and view.evaluation != "pce":
        return np.zeros((*lacking_pce.shape[:-1], view.n_nodes, view.n_middle))
    size, ends = view.layer_bytes, list(view.trained.ends)
    always = lacking_pce.sum(axis=-1) - lacking_pce[..., ends].sum(axis=-1) + size[ends].sum()
    middle = lacking_pce[..., None, 1:-1]
    changed = np.minimum(size[1:-1], middle + view.changed_bytes) - middle
    upload: Floats = always[..., None, None] + changed
    return upload


def receive_rate(rates: Rates, sender: int) -> Floats:
    """[n_nodes]: bit/s from `sender` (a node or the PCE) to every node."""
    down = rates.downlink_bps
    return down if sender == PCE else np.minimum(rates.uplink_bps[sender], down)


def receive_rtt(view: ProcessView, sender: int) -> Floats:
    """[n_nodes]: round-trip time from `sender` to every node, over the links of both, in seconds."""
    rtt = view.nodes.rtt_s
    return rtt if sender == PCE else rtt[sender] + rtt


def forecast(view: ProcessView, layer: int | None = None) -> HopForecast:
    """Expected costs of every next hop, together with its companions where nodes train in parallel.

    With a `layer`, of the hops on that middle layer alone: arrays are [n_nodes, 1].
    """
    layers = ALL if layer is None else slice(layer, layer + 1)
    single = _single(view, layers)
    if view.parallel == 1:
        return single
    rank = companion_rank(view.companions, single.time_s, view.nodes.divergence)
    return together(view.legal[:, layers], view.parallel, single, rank)


def forecast_team(view: ProcessView, nodes: Sequence[int], layer: int) -> Costs:
    """Expected costs of a hop in which these nodes, one or more, train the layer at the same time."""
    single, team = _single(view, slice(layer, layer + 1)), list(nodes)
    return Costs(
        float(single.time_s[team].max()),
        float(single.energy_j[team].sum()),
        float(single.n_bytes[team].sum()),
    )


def companions(view: ProcessView, node: int, layer: int) -> tuple[int, ...]:
    """The nodes that train the layer together with `node`: `view.parallel` - 1, or as many as are legal.

    Of these, those that the scenario's rule takes first (`companion_rank`), ties by index.
    """
    if view.parallel == 1:
        return ()
    time_s = _single(view, slice(layer, layer + 1)).time_s
    rank = companion_rank(view.companions, time_s, view.nodes.divergence)[:, 0]
    own = np.where(view.legal[:, layer], rank, np.inf)
    own[node] = np.inf
    first = np.argsort(own, kind="stable")[: view.parallel - 1]
    return tuple(int(n) for n in first if np.isfinite(own[n]))


def companion_rank(rule: CompanionRule, time_s: Floats, divergence: Floats) -> Floats:
    """[..., n_nodes, n_layers]: whom the rule takes first as companion has the lowest; infinite: nobody's.

    Args:
        rule: of the scenario.
        time_s: [..., n_nodes, n_layers]: forecast for each node by itself.
        divergence: [..., n_nodes]: of its labels from those trained recently.
    """
    if rule == "shortest":
        return time_s
    rank: Floats = np.where(np.isfinite(time_s), -divergence[..., None], np.inf)
    return rank


def together(legal: Bools, k: int, single: HopForecast, rank: Floats) -> HopForecast:
    """Time of the slowest, energy and bytes of all `k`, for each node with the companions it would get.

    Args:
        legal: [..., n_nodes, n_layers].
        k: nodes that train together, more than 1.
        single: of the nodes by themselves, of the same shape.
        rank: whom the others take along first (`companion_rank`), of the same shape.
    """
    own = np.where(legal, rank, np.inf)
    order = np.argsort(own, axis=-2, kind="stable")
    usable = np.isfinite(np.take_along_axis(own, order, axis=-2))
    among_first = np.zeros(legal.shape, dtype=np.bool_)
    np.put_along_axis(among_first, order[..., : k - 1, :], usable[..., : k - 1, :], axis=-2)

    def best(values: Floats) -> Floats:
        return np.where(usable, np.take_along_axis(values, order, axis=-2), 0.0)[..., :k, :]

    def at(values: Floats, i: int) -> Floats:
        return values[..., i : i + 1, :]

    slowest = np.maximum.accumulate(best(single.time_s), axis=-2)
    time_s = np.where(among_first, at(slowest, k - 1), np.maximum(at(slowest, k - 2), single.time_s))

    def total(values: Floats) -> Floats:
        sums = np.cumsum(best(values), axis=-2)
        of_all: Floats = np.where(among_first, at(sums, k - 1), at(sums, k - 2) + values)
        return of_all

    return HopForecast(time_s, total(single.energy_j), total(single.n_bytes), single.node_energy_j)


def _single(view: ProcessView, layers: slice) -> HopForecast:
    """Expected costs of every next hop on these layers by itself."""
    nodes, rates = view.nodes, expected_rates(view)
    missing, peak = nodes.missing_bytes, nodes.peak_flops[:, None]
    air_s = costs.air_time(missing, receive_rate(rates, view.holder))
    receive_s = air_s + costs.round_trip_time(missing, receive_rtt(view, view.holder))
    receive_energy = costs.radio_energy(nodes.radio_power_w, air_s)
    flops = hop_flops(view, layers)
    compute_s = costs.compute_time(flops, peak, rates.availability[:, None])
    compute_energy = costs.compute_energy(nodes.compute_power_w[:, None], costs.busy_time(flops, peak))
    time_s, energy_j = receive_s[:, None] + compute_s, receive_energy[:, None] + compute_energy
    upload = upload_bytes(view, view.lacking_pce)[:, layers]
    if upload.any():
        up = rates.uplink_bps[:, None]
        time_s = time_s + costs.transfer_time(upload, up, nodes.rtt_s[:, None])
        energy_j = energy_j + costs.radio_energy(nodes.radio_power_w[:, None], costs.air_time(upload, up))
    both_j = energy_j
    if view.holder != PCE:
        both_j = energy_j + costs.radio_energy(nodes.radio_power_w[view.holder], air_s)[:, None]
    return HopForecast(time_s, both_j, missing[:, None] + upload, energy_j)
