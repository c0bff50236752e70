"""How much accuracy a hop is expected to bring, from the view alone.

Nobody knows this; greedy and MILP need a guess. The form follows what hops on training traces of
the default scenario showed: there is less to gain as accuracy grows; more samples bring more; a
node whose labels are those just trained brings nothing; one whose labels are far from them makes a
good model forget; and a node that did well (or badly) last time tends to do so again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snakegym.control.view import Floats, ProcessView


@dataclass(frozen=True)
class GainModel:
    """Expected gain of a hop, in validation accuracy.

    With m the present accuracy, d the node's divergence and n its samples in units of the mean:
    gain = rate * max(0, ceiling - m) * n**size * (1 - exp(-d / saturation))
           - forgetting * d * m**2 + memory * last gain of the node
    """

    ceiling: float = 0.95
    rate: float = 0.19
    size: float = 0.5
    saturation: float = 0.1
    forgetting: float = 0.03
    memory: float = 0.12
    fade: float = 0.7
    """Weight of the past in the labels trained recently, per hop (as in the Process Controller)."""

    def expected(self, view: ProcessView) -> Floats:
        """[n_nodes]: expected gain of the next hop on each node; may be negative."""
        nodes, left = view.nodes, max(0.0, self.ceiling - view.metric)
        size = (nodes.samples / nodes.samples.mean()) ** self.size
        novelty = 1 - np.exp(-nodes.divergence / self.saturation)
        forgotten = self.forgetting * nodes.divergence * view.metric**2
        gain: Floats = self.rate * left * size * novelty - forgotten + self.memory * nodes.last_gain
        return gain

    def again(self, gain: Floats, gap: Floats) -> Floats:
        """What is left of a gain `gap` >= 1 hops after the node's last visit in the same plan.

        A node that has just been visited has nothing new to teach; that wears off.
        """
        return np.where(gain > 0, gain * (1 - self.fade**gap), gain)


DEFAULT = GainModel()
