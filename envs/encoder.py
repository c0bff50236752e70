"""A view as arrays for a learner: fixed shapes, float32, every value in [-1, 1]."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from snakegym.control.forecast import forecast
from snakegym.control.records import PCE
from snakegym.control.view import LayersView, NodesView, ProcessView

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


@dataclass(frozen=True)
class ViewEncoder:
    """Encodes views of processes with that many nodes and middle layers.

    Keys: `nodes` [n_nodes * len(NODE_FEATURES)], all features of node 0 first; `layers`
    [n_middle * len(LAYER_FEATURES)]; `process` [len(PROCESS_FEATURES)]. They are flat because
    Stable-Baselines3 takes boxes of two dimensions for a mistake.
    """

    n_nodes: int
    n_middle: int

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
        return {
            "nodes": _stack(_node_features(view)),
            "layers": _stack(_layer_features(view.layers, view.nodes)),
            "process": _stack(_process_features(view)),
        }


def _node_features(view: ProcessView) -> tuple[NDArray[np.generic], ...]:
    """In the order of NODE_FEATURES."""
    nodes, nominal = view.nodes, view.objective.nominal
    rate = 8 * nominal.n_bytes / nominal.time_s
    hop = forecast(view)
    layer = view.next_layer
    return (
        nodes.availability,
        nodes.mean_availability,
        nodes.peak_flops / nodes.peak_flops.max(),
        _squash(nodes.uplink_bps / rate),
        _squash(nodes.mean_uplink_bps / rate),
        _squash(nodes.downlink_bps / rate),
        _squash(nodes.mean_downlink_bps / rate),
        nodes.memory_bytes / nodes.memory_bytes.max(),
        nodes.battery,
        _squash(nodes.samples / nodes.samples.mean()),
        nodes.divergence,
        nodes.visits / max(1, view.hops),
        nodes.interruptions / np.maximum(1, nodes.visits),
        np.tanh(GAIN_SCALE * nodes.last_gain),
        nodes.missing_bytes / view.layer_bytes.sum(),
        nodes.in_pool,
        nodes.reachable,
        np.arange(view.n_nodes) == view.holder,
        _squash(hop.time_s[:, layer] / nominal.time_s),
        _squash(hop.energy_j[:, layer] / nominal.energy_j),
    )


def _layer_features(layers: LayersView, nodes: NodesView) -> tuple[NDArray[np.generic], ...]:
    """In the order of LAYER_FEATURES."""
    n = len(layers.flops)
    return (
        np.arange(n) / max(1, n - 1),
        layers.flops / layers.flops.max(),
        layers.n_bytes / layers.n_bytes.max(),
        _squash(layers.memory_bytes / nodes.memory_bytes.mean()),
        layers.times_trained / max(1, layers.times_trained.max()),
        layers.trained_in_cycle,
        layers.open,
        np.tanh(GAIN_SCALE * layers.last_gain),
    )


def _process_features(view: ProcessView) -> tuple[float, ...]:
    """In the order of PROCESS_FEATURES."""
    gains = (0.0, 0.0, 0.0, *view.recent_gains)
    budget, spent = view.budget, view.spent
    return (
        view.metric,
        *np.tanh(GAIN_SCALE * np.array(gains[:-4:-1])),
        np.tanh(GAIN_SCALE * sum(gains) / max(1, len(view.recent_gains))),
        view.cycle / (view.cycle + 4),
        float(view.layers.trained_in_cycle.mean()),
        _share(spent.time_s, budget.time_s),
        _share(spent.energy_j, budget.energy_j),
        _share(view.hops, budget.hops),
        view.holder == PCE,
        view.mode == "cs",
    )


def _stack(columns: tuple[NDArray[np.generic], ...] | tuple[float, ...]) -> NDArray[np.float32]:
    return np.clip(np.array(columns, dtype=np.float32).T, -1.0, 1.0).reshape(-1)


def _squash(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """From [0, inf) to [0, 1), 1 to 0.5; infinity (no forecast) to 1."""
    return 1.0 - 1.0 / (1.0 + x)


def _share(spent: float, budget: float | None) -> float:
    return 0.0 if budget is None else min(1.0, spent / budget)
