"""A view as arrays for a learner: fixed shapes, float32, every value in [-1, 1]."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from snakegym.control.forecast import forecast
from snakegym.control.view import Floats, LayersView, ProcessView
from snakegym.network.records import PCE

Encoded = dict[str, NDArray[np.float32]]

NODE_FEATURES = (
    "availability",
    "mean_availability",
    "speed",
    "uplink",
    "mean_uplink",
    "downlink",
    "mean_downlink",
    "memory",
    "battery",
    "samples",
    "divergence",
    "visits",
    "interruptions",
    "last_gain",
    "missing_bytes",
    "in_pool",
    "reachable",
    "is_holder",
    "hop_time",
    "hop_energy",
)
LAYER_FEATURES = (
    "position",
    "flops",
    "n_bytes",
    "memory",
    "times_trained",
    "trained_in_cycle",
    "open",
    "last_gain",
)
PROCESS_FEATURES = (
    "metric",
    "gain_1",
    "gain_2",
    "gain_3",
    "mean_gain",
    "cycle",
    "cycle_position",
    "time_spent",
    "energy_spent",
    "hops_spent",
    "held_by_pce",
    "client_server",
)
GAIN_SCALE = 10.0
"""Gains of a hop are a few per cent; tanh(10 g) spreads them over [-1, 1]."""


class ViewEncoder:
    """Encodes views of processes with that many nodes and middle layers.

    Keys: `nodes` [n_nodes * len(NODE_FEATURES)], all features of node 0 first; `layers`
    [n_middle * len(LAYER_FEATURES)]; `process` [len(PROCESS_FEATURES)]. They are flat because
    Stable-Baselines3 takes boxes of two dimensions for a mistake.

    The features that never change in a process are computed at its first view.
    """

    def __init__(self, n_nodes: int, n_middle: int) -> None:
        self.n_nodes = n_nodes
        self.n_middle = n_middle
        self._fixed: _Fixed | None = None

    @property
    def space(self) -> spaces.Dict:
        """The observation space; its bounds hold for every view."""

        def box(size: int) -> spaces.Box:
            return spaces.Box(-1.0, 1.0, (size,), np.float32)

        return spaces.Dict(
            nodes=box(self.n_nodes * len(NODE_FEATURES)),
            layers=box(self.n_middle * len(LAYER_FEATURES)),
            process=box(len(PROCESS_FEATURES)),
        )

    def encode(self, view: ProcessView) -> Encoded:
        """The view as new arrays, in `space`."""
        fixed = self._fixed
        if fixed is None or not fixed.holds_for(view):
            self._fixed = fixed = _Fixed(view)
        return {
            "nodes": _flatten(_node_features(view, fixed)),
            "layers": _flatten(_layer_features(view.layers, fixed)),
            "process": np.array(_process_features(view), dtype=np.float32),
        }


class _Fixed:
    """What the features have in common while nodes, data and model stay the same.

    Attributes:
        nodes: [len(NODE_FEATURES), n_nodes]: rows that change are empty.
        layers: [len(LAYER_FEATURES), n_middle]: likewise.
        model_bytes: of all layers.
    """

    def __init__(self, view: ProcessView) -> None:
        nodes, layers, n = view.nodes, view.layers, view.n_middle
        self._sources = _sources(view)
        self.model_bytes = float(view.layer_bytes.sum())
        self.nodes = np.empty((len(NODE_FEATURES), view.n_nodes))
        self.nodes[2] = nodes.peak_flops / nodes.peak_flops.max()
        self.nodes[7] = nodes.memory_bytes / nodes.memory_bytes.max()
        self.nodes[9] = nodes.samples / nodes.samples.mean()
        self.layers = np.empty((len(LAYER_FEATURES), n))
        self.layers[0] = np.arange(n) / max(1, n - 1)
        self.layers[1] = layers.flops / layers.flops.max()
        self.layers[2] = layers.n_bytes / layers.n_bytes.max()
        self.layers[3] = layers.memory_bytes / nodes.memory_bytes.mean()
        _squash(self.nodes[9])
        _squash(self.layers[3])

    def holds_for(self, view: ProcessView) -> bool:
        """Whether the view consists of the very same (read-only) arrays."""
        return all(map(operator.is_, self._sources, _sources(view)))


def _sources(view: ProcessView) -> tuple[NDArray[Any], ...]:
    """The arrays behind `_Fixed`."""
    nodes, layers = view.nodes, view.layers
    return (
        nodes.peak_flops,
        nodes.memory_bytes,
        nodes.samples,
        layers.flops,
        layers.n_bytes,
        layers.memory_bytes,
        view.layer_bytes,
    )


def _node_features(view: ProcessView, fixed: _Fixed) -> Floats:
    """[len(NODE_FEATURES), n_nodes], rows in the order of NODE_FEATURES."""
    nodes, nominal = view.nodes, view.objective.nominal
    hop = forecast(view, view.next_layer)
    x = fixed.nodes.copy()
    x[0] = nodes.availability
    x[1] = nodes.mean_availability
    x[3] = nodes.uplink_bps
    x[4] = nodes.mean_uplink_bps
    x[5] = nodes.downlink_bps
    x[6] = nodes.mean_downlink_bps
    x[8] = nodes.battery
    x[10] = nodes.divergence
    x[11] = nodes.visits
    x[12] = nodes.interruptions
    x[12] /= np.maximum(x[11], 1.0)
    x[11] /= max(1, view.hops)
    x[13] = np.tanh(GAIN_SCALE * nodes.last_gain)
    x[14] = nodes.missing_bytes / fixed.model_bytes
    x[15] = nodes.in_pool
    x[16] = nodes.reachable
    x[17] = 0.0
    if view.holder != PCE:
        x[17, view.holder] = 1.0
    x[18] = hop.time_s[:, 0] / nominal.time_s
    x[19] = hop.energy_j[:, 0] / nominal.energy_j
    x[3:7] /= 8 * nominal.n_bytes / nominal.time_s
    _squash(x[3:7])
    _squash(x[18:20])
    return x


def _layer_features(layers: LayersView, fixed: _Fixed) -> Floats:
    """[len(LAYER_FEATURES), n_middle], rows in the order of LAYER_FEATURES."""
    x = fixed.layers.copy()
    x[4] = layers.times_trained
    x[4] /= max(1.0, *x[4].tolist())
    x[5] = layers.trained_in_cycle
    x[6] = layers.open
    x[7] = np.tanh(GAIN_SCALE * layers.last_gain)
    return x


def _process_features(view: ProcessView) -> tuple[float, ...]:
    """In the order of PROCESS_FEATURES."""
    gains = (0.0, 0.0, 0.0, *view.recent_gains)
    budget, spent = view.budget, view.spent
    return (
        view.metric,
        math.tanh(GAIN_SCALE * gains[-1]),
        math.tanh(GAIN_SCALE * gains[-2]),
        math.tanh(GAIN_SCALE * gains[-3]),
        math.tanh(GAIN_SCALE * sum(gains) / max(1, len(view.recent_gains))),
        view.cycle / (view.cycle + 4),
        sum(view.layers.trained_in_cycle.tolist()) / view.n_middle,
        _share(spent.time_s, budget.time_s),
        _share(spent.energy_j, budget.energy_j),
        max(_share(view.hops, budget.hops), _share(view.hops + view.waits, budget.decisions)),
        view.holder == PCE,
        view.mode == "cs",
    )


def _flatten(features: Floats) -> NDArray[np.float32]:
    """Features [n_features, n] as float32 in [-1, 1], all of one node (or layer) together.

    They are clipped in place.
    """
    np.minimum(features, 1.0, out=features)
    np.maximum(features, -1.0, out=features)
    return features.T.astype(np.float32, order="C").reshape(-1)


def _squash(x: Floats) -> None:
    """In place, from [0, inf) to [0, 1), 1 to 0.5; infinity (no forecast) to 1."""
    x += 1.0
    np.divide(-1.0, x, out=x)
    x += 1.0


def _share(spent: float, budget: float | None) -> float:
    return 0.0 if budget is None else min(1.0, spent / budget)
