"""Plans followed hop by hop in the model of gains and costs: what they are worth, and where greed leads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from snakegym.agents.planning.gain import GainModel
from snakegym.agents.planning.outlook import Outlook
from snakegym.agents.planning.promise import Promise, promise
from snakegym.agents.planning.state import PlanState, over
from snakegym.control.records import Assignment
from snakegym.control.view import Floats, Ints
from snakegym.network.records import Costs

Hops = tuple[Assignment, ...]


@dataclass
class Walk:
    """Hops one after the other: the state before each, and what each brings and costs."""

    states: list[PlanState]
    """One more than there are hops: the last is the state after them."""
    hops: list[Assignment] = field(default_factory=list)
    gains: list[float] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    costs: list[Costs] = field(default_factory=list)

    def add(self, expected: Promise, state: PlanState, hop: Assignment) -> None:
        """Book a hop from the one state."""
        at = 0, hop.node, hop.layer
        costs = expected.costs
        spent = Costs(float(costs.time_s[at]), float(costs.energy_j[at]), float(costs.n_bytes[at]))
        self.hops.append(expected.hop(hop.node, hop.layer))
        self.gains.append(float(expected.gain[at]))
        self.rewards.append(float(expected.reward[at]))
        self.costs.append(spent)
        self.states.append(next_state(state, expected, np.array([hop.node]), np.array([hop.layer])))

    def beginnings(self, second: float) -> Floats:
        """[hops + 1]: reward of each beginning, the empty one first, with time at that further price."""
        time_s = np.array([c.time_s for c in self.costs])
        return np.concatenate([[0.0], np.cumsum(np.array(self.rewards) - second * time_s)])

    def value(self, second: float) -> float:
        """Of the best beginning."""
        return float(self.beginnings(second).max())

    def stop(self, second: float) -> int:
        """Length of the best beginning."""
        return int(self.beginnings(second).argmax())

    def until(self, stop: int) -> Walk:
        """The beginning of that many hops."""
        return Walk(
            self.states[: stop + 1],
            self.hops[:stop],
            self.gains[:stop],
            self.rewards[:stop],
            self.costs[:stop],
        )


def next_state(state: PlanState, expected: Promise, node: Ints, layer: Ints) -> PlanState:
    """Each of B plans one hop on, with what was expected of its hop (node [B], layer [B])."""
    at = np.arange(len(state)), node, layer
    costs = expected.costs
    return state.after(
        node,
        layer,
        time_s=costs.time_s[at],
        energy_j=costs.energy_j[at],
        gain=expected.gain[at],
        node_energy_j=costs.node_energy_j[at],
        changed_bytes=expected.changed_bytes[at],
    )


def walk_on(
    start: PlanState,
    gains: GainModel,
    outlook: Outlook,
    *,
    hops: Sequence[Assignment] = (),
    at_least: int = 0,
    at_most: int,
    second: float = 0.0,
) -> Walk:
    """These hops, as far as they are possible, and then always the most rewarding one.

    Args:
        start: one plan.
        gains: what hops bring.
        outlook: what they cost.
        hops: to begin with.
        at_least: so many hops are made, if any is possible, worth their price or not.
        at_most: so many.
        second: further price of a second.
    """
    walk, state = Walk([start]), start
    while len(walk.hops) < at_most and not over(state)[0]:
        expected = promise(state, gains, outlook)
        done = len(walk.hops)
        if done < len(hops):
            hop = hops[done]
        else:
            reward = expected.reward[0] - second * np.where(
                expected.possible[0], expected.costs.time_s[0], 0.0
            )
            hop = Assignment(*divmod(int(reward.argmax()), state.view.n_middle))
            if done >= at_least and reward[hop.node, hop.layer] <= 0:
                break
        if not expected.possible[0, hop.node, hop.layer]:
            break
        walk.add(expected, state, hop)
        state = walk.states[-1]
    return walk


@dataclass(frozen=True)
class Followed:
    """What each beginning of B plans comes to, the empty one first; each [B, longest + 1].

    Beyond a plan's end, or its first hop that is not possible, nothing changes.
    """

    reward: Floats
    """Expected; -inf there."""
    time_s: Floats
    metric: Floats
    """Expected validation accuracy after the last hop."""

    def worth(self, second: float) -> Floats:
        """The reward with time at that further price."""
        return self.reward - second * self.time_s


def follow(start: PlanState, plans: Sequence[Hops], gains: GainModel, outlook: Outlook) -> Followed:
    """Each plan, hop by hop, from one state (B = 1). Arguments as of `walk_on`."""
    shape = max(1, len(plans)), max(map(len, plans), default=0) + 1
    reward, time_s, metric = np.full(shape, -np.inf), np.zeros(shape), np.full(shape, start.metric[0])
    reward[:, 0] = 0.0
    live = np.flatnonzero([len(plan) > 0 for plan in plans])
    state = start.take(np.zeros(len(live), dtype=np.int64))
    for t in range(shape[1] - 1):
        time_s[:, t + 1], metric[:, t + 1] = time_s[:, t], metric[:, t]
        if not len(live):
            continue
        node, layer = np.array([(plans[i][t].node, plans[i][t].layer) for i in live.tolist()]).T
        expected, b = promise(state, gains, outlook), np.arange(len(live))
        done = np.flatnonzero(expected.possible[b, node, layer] & ~over(state))
        at, live = (done, node[done], layer[done]), live[done]
        state = next_state(state, expected, node, layer).take(done)
        reward[live, t + 1] = reward[live, t] + expected.reward[at]
        time_s[live, t + 1] = time_s[live, t] + expected.costs.time_s[at]
        metric[live, t + 1] = state.metric
        longer = np.flatnonzero([len(plans[i]) > t + 1 for i in live.tolist()])
        state, live = state.take(longer), live[longer]
    return Followed(reward, time_s, metric)
