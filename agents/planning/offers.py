"""What may come next of many plans, and the plans after what is chosen of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snakegym.agents.planning.gain import GainModel
from snakegym.agents.planning.outlook import Outlook
from snakegym.agents.planning.promise import Promise, promise
from snakegym.agents.planning.state import PlanState, over
from snakegym.control.records import Assignment
from snakegym.control.view import Floats, Ints
from snakegym.network.records import Costs


@dataclass(frozen=True)
class PlannedHop:
    """One hop of a plan, and what is expected of it."""

    waits: int
    """Waits that go before it."""
    assignment: Assignment
    gain: float
    """In accuracy."""
    costs: Costs
    reward: float
    """Priced, with that of the waits."""


@dataclass(frozen=True)
class Taken:
    """The hops by which the plans of one depth were made from those of the depth before; arrays [B]."""

    parent: Ints
    waits: Ints
    node: Ints
    layer: Ints
    gain: Floats
    time_s: Floats
    energy_j: Floats
    n_bytes: Floats
    reward: Floats
    rank: Ints | None = None
    """None: there is no choice."""

    def hop(self, plan: int) -> PlannedHop:
        """The last hop of a plan."""
        return PlannedHop(
            int(self.waits[plan]),
            Assignment(
                int(self.node[plan]),
                int(self.layer[plan]),
                rank=None if self.rank is None else int(self.rank[plan]),
            ),
            float(self.gain[plan]),
            Costs(float(self.time_s[plan]), float(self.energy_j[plan]), float(self.n_bytes[plan])),
            float(self.reward[plan]),
        )


@dataclass(frozen=True)
class Offers:
    """What every next hop promises to each plan of a beam, after each number of waits: [B, W, N, M]."""

    state: PlanState
    waits: Ints
    """[W]."""
    wait_s: Floats
    """[W]."""
    promises: Sequence[Promise]
    """[W]."""
    reward: Floats
    """[B, W, N, M]: priced, with that of the waits; -inf where there is no such hop."""

    @classmethod
    def of(cls, state: PlanState, gains: GainModel, outlook: Outlook, waits: Ints) -> Offers:
        """All of them."""
        view = state.view
        wait_s = np.asarray(waits * view.wait_s, dtype=np.float64)
        promises = [promise(_later(state, s), gains, outlook) for s in wait_s.tolist()]
        reward = np.stack([p.reward for p in promises], axis=1)
        reward -= (view.objective.prices()[0] * wait_s)[:, None, None]
        reward[over(state)] = -np.inf
        return cls(state, waits, wait_s, promises, reward)

    @property
    def ends_s(self) -> Floats:
        """[B, W, N, M]: from the decision until the hop would be over; of impossible ones until it begins."""
        hop_s = np.stack([p.costs.time_s for p in self.promises], axis=1) + self.wait_s[:, None, None]
        passed_s = self.state.clock_s - self.state.view.clock_s
        return np.where(self.reward > -np.inf, hop_s, 0.0) + passed_s[:, None, None, None]

    def taken(self, chosen: Ints) -> tuple[Taken, PlanState]:
        """Those with these flat indices: the hops, and the plans after them."""
        plan, wait, node, layer = at = np.unravel_index(chosen, self.reward.shape)

        def pick(of: Callable[[Promise], NDArray[Any]]) -> NDArray[Any]:
            return np.stack([of(p) for p in self.promises], axis=1)[at]

        ranks = [p.ranks for p in self.promises if p.ranks is not None]
        step = Taken(
            plan,
            self.waits[wait],
            node,
            layer,
            gain=pick(lambda p: p.gain),
            time_s=pick(lambda p: p.costs.time_s),
            energy_j=pick(lambda p: p.costs.energy_j),
            n_bytes=pick(lambda p: p.costs.n_bytes),
            reward=self.reward[at],
            rank=np.stack(ranks, axis=1)[at] if ranks else None,
        )
        then = self.state.take(plan).after(
            node,
            layer,
            time_s=step.time_s + self.wait_s[wait],
            energy_j=step.energy_j,
            gain=step.gain,
            node_energy_j=pick(lambda p: p.costs.node_energy_j),
            changed_bytes=pick(lambda p: p.changed_bytes),
        )
        return step, then


def _later(state: PlanState, seconds: float) -> PlanState:
    """The same plans after some waiting."""
    return replace(state, clock_s=state.clock_s + seconds) if seconds else state
