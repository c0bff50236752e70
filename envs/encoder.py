"""A view as arrays for a learner: fixed shapes, float32, every value in [-1, 1]."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from snakegym.control.view import ProcessView
from snakegym.envs.features import layers, nodes, pairs, ranks
from snakegym.envs.features.layers import LAYER_FEATURES
from snakegym.envs.features.nodes import NODE_FEATURES
from snakegym.envs.features.pairs import PAIR_FEATURES
from snakegym.envs.features.process import PROCESS_FEATURES, process_features
from snakegym.envs.features.ranks import RANK_FEATURES
from snakegym.envs.features.scale import table

Encoded = dict[str, NDArray[np.float32]]


class ViewEncoder:
    """Encodes views of processes with at most that many nodes and middle layers.

    Keys: `nodes` [n_nodes * len(NODE_FEATURES)], all features of node 0 first; `layers`
    [n_middle * len(LAYER_FEATURES)]; `pairs` [n_nodes * n_middle * len(PAIR_FEATURES)], in the order of the
    actions; `process` [len(PROCESS_FEATURES)]; where schedulers choose among R ranks also `ranks`
    [n_nodes * n_middle * R * len(RANK_FEATURES)], as the actions. They are flat because Stable-Baselines3
    takes boxes of two dimensions for a mistake. Of nodes and layers that a process has not, all columns are
    0.

    The features that never change in a process are computed at its first view.
    """

    def __init__(self, n_nodes: int, n_middle: int, n_ranks: int = 0) -> None:
        self.n_nodes = n_nodes
        self.n_middle = n_middle
        self.n_ranks = n_ranks
        self._fixed: _Fixed | None = None

    @property
    def space(self) -> spaces.Dict:
        """The observation space; its bounds hold for every view."""

        def box(size: int) -> spaces.Box:
            return spaces.Box(-1.0, 1.0, (size,), np.float32)

        n_pairs = self.n_nodes * self.n_middle
        boxes: dict[str, Any] = {
            "nodes": box(self.n_nodes * len(NODE_FEATURES)),
            "layers": box(self.n_middle * len(LAYER_FEATURES)),
            "pairs": box(n_pairs * len(PAIR_FEATURES)),
            "process": box(len(PROCESS_FEATURES)),
        }
        if self.n_ranks:
            boxes["ranks"] = box(n_pairs * self.n_ranks * len(RANK_FEATURES))
        return spaces.Dict(None, **boxes)  # a mapping would be sorted by its keys

    def encode(self, view: ProcessView) -> Encoded:
        """The view as new arrays, in `space`."""
        fixed = self._fixed
        if fixed is None or not fixed.holds_for(view):
            self._fixed = fixed = _Fixed(view)
        encoded = {
            "nodes": table(fixed.nodes | nodes.columns(view), NODE_FEATURES, self.n_nodes),
            "layers": table(fixed.layers | layers.columns(view), LAYER_FEATURES, self.n_middle),
            "pairs": table(pairs.columns(view), PAIR_FEATURES, self.n_nodes, self.n_middle),
            "process": process_features(view),
        }
        if self.n_ranks:
            sizes = self.n_nodes, self.n_middle, self.n_ranks
            encoded["ranks"] = table(ranks.columns(view), RANK_FEATURES, *sizes)
        return encoded


class _Fixed:
    """What the features have in common while nodes, data and model stay the same."""

    def __init__(self, view: ProcessView) -> None:
        self._sources = _sources(view)
        self.nodes, self.layers = nodes.fixed_columns(view), layers.fixed_columns(view)

    def holds_for(self, view: ProcessView) -> bool:
        """Whether the view consists of the very same (read-only) arrays."""
        return all(map(operator.is_, self._sources, _sources(view)))


def _sources(view: ProcessView) -> tuple[NDArray[Any], ...]:
    """The arrays behind `_Fixed`."""
    of_nodes, of_layers = view.nodes, view.layers
    return (
        of_nodes.peak_flops,
        of_nodes.memory_bytes,
        of_nodes.samples,
        of_nodes.labels,
        of_layers.flops,
        of_layers.n_bytes,
        of_layers.memory_bytes,
    )
