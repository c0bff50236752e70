"""Fixed rules: yardsticks that look at one thing at most.

All of them skip what is illegal, wait only if nothing is legal, never finish (they do not look at prices: a
budget ends their processes), and (except `random`) train the
layers of a cycle from early to deep, unless the process itself fixes another order: sequential
updates are the paper's choice for Non-IID data ("Snake Learning: A Communication- and
Computation-Efficient Distributed Learning Framework for 6G", DOI 10.1109/MCOM.005.2400282).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from snakegym.control.forecast import forecast
from snakegym.control.records import Assignment
from snakegym.control.view import Bools, Floats, ProcessView
from snakegym.scenario import Scenario


def next_layer(view: ProcessView) -> int | None:
    """The lowest layer that has a legal node, those not yet trained in this cycle first.

    Where the process fixes the order, only its layer is legal, so that is the one. None if
    nothing is legal.
    """
    legal = view.legal.any(axis=0)
    fresh = legal & ~view.layers.trained_in_cycle
    layers = np.flatnonzero(fresh if fresh.any() else legal)
    return int(layers[0]) if layers.size else None


class NodeRule(ABC):
    """A rule that picks a node for the next layer; subclasses say how much they like each node."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario

    def reset(self, seed: int) -> None:  # noqa: B027 (most rules have nothing to forget)
        """Forget the last episode."""

    def schedule(self, view: ProcessView) -> Assignment | None:
        """The best-liked legal node for the next layer; ties go to the lower index."""
        layer = next_layer(view)
        if layer is None:
            return None
        return Assignment(self.pick(view, layer, view.legal[:, layer]), layer)

    def pick(self, view: ProcessView, layer: int, legal: Bools) -> int:
        """The node, among those that `legal` [n_nodes] marks (one at least)."""
        return int(np.argmax(np.where(legal, self.preference(view, layer), -np.inf)))

    @abstractmethod
    def preference(self, view: ProcessView, layer: int) -> Floats:
        """[n_nodes]: more is better; finite."""


class SerpentineScheduler(NodeRule):
    """Round robin: node 0, 1, 2, …; an illegal one is passed over until the next round."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self._last = -1

    def reset(self, seed: int) -> None:
        """Start again with node 0."""
        self._last = -1

    def pick(self, view: ProcessView, layer: int, legal: Bools) -> int:
        """The first legal node after the one chosen last."""
        self._last = super().pick(view, layer, legal)
        return self._last

    def preference(self, view: ProcessView, layer: int) -> Floats:
        """Minus the steps from the last node, going round."""
        steps = (np.arange(view.n_nodes) - self._last - 1) % view.n_nodes
        return -steps.astype(np.float64)


class FastestScheduler(NodeRule):
    """The node whose hop is forecast to be shortest, whatever data it holds."""

    def preference(self, view: ProcessView, layer: int) -> Floats:
        """Minus the forecast duration, s."""
        return -np.minimum(forecast(view).time_s[:, layer], np.finfo(np.float64).max)


class MostDataScheduler(NodeRule):
    """The legal node with most samples."""

    def preference(self, view: ProcessView, layer: int) -> Floats:
        """Number of samples."""
        return view.nodes.samples.astype(np.float64)


class SameNodeScheduler(NodeRule):
    """Node 0 whenever it is legal, otherwise the first one that is."""

    def preference(self, view: ProcessView, layer: int) -> Floats:
        """Minus the index."""
        return -np.arange(view.n_nodes, dtype=np.float64)


class RandomScheduler:
    """Uniform over the legal assignments, nodes and layers (and ranks, where they are chosen) alike."""

    def __init__(self, scenario: Scenario) -> None:
        self._rng = np.random.default_rng(0)

    def reset(self, seed: int) -> None:
        """Seed the draws."""
        self._rng = np.random.default_rng(seed)

    def schedule(self, view: ProcessView) -> Assignment | None:
        """One of the legal assignments; None if there is none."""
        each = view.legal[None] if not view.ranks else np.stack([one.legal for one in view.ranks])
        legal = np.argwhere(each)
        if not len(legal):
            return None
        place, node, layer = legal[self._rng.integers(len(legal))].tolist()
        return Assignment(node, layer, rank=view.ranks[place].rank if view.ranks else None)
