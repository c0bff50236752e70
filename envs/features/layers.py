"""What an observation tells of each middle layer."""

from __future__ import annotations

import numpy as np

from snakegym.control.view import Floats, ProcessView
from snakegym.envs.features.scale import gain, recency, squash

LAYER_FEATURES = (
    "exists",
    "position",
    "flops",
    "n_bytes",
    "memory",
    "times_trained",
    "trained_in_cycle",
    "open",
    "recency",
    "last_gain",
    "holders",
    "held_by_pce",
)


def fixed_columns(view: ProcessView) -> dict[str, Floats]:
    """The columns [n_middle] that never change in a process."""
    layers, n = view.layers, view.n_middle
    return {
        "exists": np.ones(n),
        "position": np.arange(n) / max(1, n - 1),
        "flops": layers.flops / layers.flops.max(),
        "n_bytes": layers.n_bytes / layers.n_bytes.max(),
        "memory": squash(layers.memory_bytes / view.nodes.memory_bytes.mean()),
    }


def columns(view: ProcessView) -> dict[str, Floats]:
    """The others, [n_middle] each."""
    layers = view.layers
    return {
        "times_trained": layers.times_trained / max(1.0, *layers.times_trained.tolist()),
        "trained_in_cycle": layers.trained_in_cycle.astype(np.float64),
        "open": layers.open.astype(np.float64),
        "recency": recency(view.pairs.last_hop.max(axis=0), view.hops - 1),
        "last_gain": gain(layers.last_gain),
        "holders": view.held[:, 1:-1].mean(axis=0),
        "held_by_pce": view.held_by_pce[1:-1].astype(np.float64),
    }
