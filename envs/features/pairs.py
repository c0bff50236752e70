"""What an observation tells of each pair of a node and a middle layer."""

from __future__ import annotations

import numpy as np

from snakegym.control.forecast import HopForecast, forecast, price
from snakegym.control.view import Floats, ProcessView
from snakegym.envs.features.scale import gain, recency, squash

PAIR_FEATURES = (
    "legal",
    "time",
    "energy",
    "n_bytes",
    "price",
    "time_share",
    "battery_share",
    "memory_room",
    "held",
    "last_gain",
    "hop_recency",
    "cycle_recency",
)
PRICE_SCALE = 10.0
"""A hop costs some hundredths of a reward unit up to a few tenths."""
LEAST = 1e-9
"""Of seconds and joules, to divide by."""


def columns(view: ProcessView) -> dict[str, Floats]:
    """[n_nodes, n_middle] each."""
    hop, nominal, pairs = forecast(view), view.objective.nominal, view.pairs
    cost = price(view.objective, hop.time_s, hop.energy_j, hop.n_bytes)
    return {
        "legal": view.legal.astype(np.float64),
        "time": squash(hop.time_s / nominal.time_s),
        "energy": squash(hop.energy_j / nominal.energy_j),
        "n_bytes": squash(hop.n_bytes / nominal.n_bytes),
        "price": squash(PRICE_SCALE * cost),
        "time_share": squash(hop.time_s / max(view.left_s, LEAST)),
        "battery_share": _battery_share(view, hop),
        "memory_room": _memory_room(view),
        "held": view.held[:, 1:-1].astype(np.float64),
        "last_gain": gain(pairs.last_gain),
        "hop_recency": recency(pairs.last_hop, view.hops - 1),
        "cycle_recency": recency(pairs.last_cycle, view.cycle),
    }


def _battery_share(view: ProcessView, hop: HopForecast) -> Floats:
    """The node's energy by what its battery holds, squashed; 0 for mains."""
    left_j = view.nodes.battery_j[:, None]
    needed_j = np.where(np.isfinite(left_j), hop.node_energy_j, 0.0)
    return squash(needed_j / np.maximum(left_j, LEAST))


def _memory_room(view: ProcessView) -> Floats:
    """Share of the node's memory that a hop leaves free; less than 0 where it does not fit."""
    room: Floats = 1.0 - view.needed_bytes / view.nodes.memory_bytes[:, None]
    return room
