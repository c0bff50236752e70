"""What an observation tells of each node."""

from __future__ import annotations

import numpy as np

from snakegym.control.view import Floats, ProcessView
from snakegym.data.divergence import js_distance
from snakegym.envs.features.scale import gain, recency, squash
from snakegym.network.network import PAST_WINDOWS
from snakegym.network.records import PCE

_EARLIER = range(PAST_WINDOWS, 1, -1)
"""Windows ago, oldest first; the last one is the mean."""

NODE_FEATURES = (
    "exists",
    "availability",
    "mean_availability",
    *(f"availability_{n}" for n in _EARLIER),
    "uplink",
    "mean_uplink",
    *(f"uplink_{n}" for n in _EARLIER),
    "downlink",
    "mean_downlink",
    *(f"downlink_{n}" for n in _EARLIER),
    *(f"up_{n}" for n in (*_EARLIER, 1)),
    "speed",
    "memory",
    "battery",
    "battery_hops",
    "samples",
    "label_entropy",
    "label_distance",
    "divergence",
    "distils",
    "visits",
    "interruptions",
    "recency",
    "last_gain",
    "missing_bytes",
    "holds_first",
    "holds_last",
    "in_pool",
    "reachable",
    "is_holder",
)


def fixed_columns(view: ProcessView) -> dict[str, Floats]:
    """The columns [n_nodes] that never change in a process."""
    nodes = view.nodes
    shares = nodes.labels / np.maximum(nodes.labels.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1.0))).sum(axis=1)
    everything = (nodes.samples[:, None] * shares).sum(axis=0)
    return {
        "exists": np.ones(view.n_nodes),
        "speed": nodes.peak_flops / nodes.peak_flops.max(),
        "memory": nodes.memory_bytes / nodes.memory_bytes.max(),
        "samples": squash(nodes.samples / nodes.samples.mean()),
        "label_entropy": entropy / np.log(max(2, shares.shape[1])),
        "label_distance": js_distance(shares, everything),
    }


def columns(view: ProcessView) -> dict[str, Floats]:
    """The others, [n_nodes] each."""
    nodes, nominal = view.nodes, view.objective.nominal
    rates = squash(_rates(view) / (8 * nominal.n_bytes / nominal.time_s))
    named = ("uplink", "mean_uplink", *(f"uplink_{n}" for n in _EARLIER))
    named += ("downlink", "mean_downlink", *(f"downlink_{n}" for n in _EARLIER))
    visits = nodes.visits.astype(np.float64)
    is_holder = np.zeros(view.n_nodes)
    if view.holder != PCE:
        is_holder[view.holder] = 1.0
    return {
        "availability": nodes.availability,
        "mean_availability": nodes.mean_availability,
        **{f"availability_{n}": nodes.past_availability[:, -n] for n in _EARLIER},
        **dict(zip(named, rates, strict=True)),
        **{f"up_{n}": nodes.past_up[:, -n] for n in (*_EARLIER, 1)},
        "battery": nodes.battery,
        "battery_hops": squash(nodes.battery_j / nominal.energy_j),
        "divergence": nodes.divergence,
        "distils": nodes.distils.astype(np.float64),
        "visits": visits / max(1, view.hops),
        "interruptions": nodes.interruptions / np.maximum(visits, 1.0),
        "recency": recency(view.pairs.last_hop.max(axis=1), view.hops - 1),
        "last_gain": gain(nodes.last_gain),
        "missing_bytes": nodes.missing_bytes / view.layer_bytes.sum(),
        "holds_first": view.held[:, 0].astype(np.float64),
        "holds_last": view.held[:, -1].astype(np.float64),
        "in_pool": nodes.in_pool.astype(np.float64),
        "reachable": nodes.reachable.astype(np.float64),
        "is_holder": is_holder,
    }


def _rates(view: ProcessView) -> Floats:
    """[2 * (PAST_WINDOWS + 1), n_nodes] bit/s: now, mean and earlier means, up and then down."""
    nodes, earlier = view.nodes, slice(None, -1)
    up = nodes.uplink_bps, nodes.mean_uplink_bps, *nodes.past_uplink_bps.T[earlier]
    down = nodes.downlink_bps, nodes.mean_downlink_bps, *nodes.past_downlink_bps.T[earlier]
    return np.array([*up, *down])
