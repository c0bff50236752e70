"""Beam search over plans: hops one after another, best first, until nothing pays or nothing is left."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from snakegym.agents.planning.gain import GainModel
from snakegym.agents.planning.offers import Offers, PlannedHop, Taken
from snakegym.agents.planning.outlook import Outlook
from snakegym.agents.planning.state import PlanState
from snakegym.control.view import Floats, Ints


@dataclass(frozen=True)
class Settings:
    """How hard to search."""

    width: int
    """Plans that are followed at the same time."""
    horizon: int
    """Hops that a plan has at most."""
    waits: tuple[int, ...] = (0,)
    """How often a plan may wait before a hop."""
    haste: tuple[float, ...] = (0.0,)
    """One search for each, the best plan counts: what a second costs beyond its price, in multiples of it,
    when plans of the same number of hops are compared. What they leave of the budget is worth something."""
    patience: int = 10
    """Hops in a row without a plan that is worth more than a shorter one, after which it is given up."""


@dataclass(frozen=True)
class Plan:
    """Hops in order; none where no plan is worth its price."""

    hops: tuple[PlannedHop, ...] = ()

    @property
    def value(self) -> float:
        """Expected reward of all hops together."""
        return sum(hop.reward for hop in self.hops)


def search(state: PlanState, gains: GainModel, outlook: Outlook, settings: Settings) -> Plan:
    """The most valuable plan that is found from a state; deterministic, ties go to the lower index.

    At every depth the plans with the most expected reward so far are followed, of those with the same hops
    in another order and the same last one the best alone. A process may be finished after any hop, so a plan
    is worth its best prefix, and the plan that ends at once nothing. Plans stay within what is left of time,
    energy, hops and decisions.

    Args:
        state: one plan (B = 1), where to begin.
        gains: what hops bring.
        outlook: what they cost.
        settings: how hard to search.
    """
    plans = [_search(state, gains, outlook, settings, haste) for haste in settings.haste]
    return max(plans, key=lambda plan: plan.value)


def values(
    state: PlanState, gains: GainModel, outlook: Outlook, settings: Settings, following: int
) -> Floats:
    """What every next hop is worth with the best that may come after it; deterministic.

    The first hops that promise most by themselves, `settings.width` of them, are each followed by a beam of
    its own: in a common one those that fall behind would be left with the value of a plan cut short.

    Args:
        state: one plan (B = 1), where to begin.
        gains: what hops bring.
        outlook: what they cost.
        settings: how hard to search; haste is not asked for.
        following: plans that are followed at the same time for each first hop.

    Returns:
        [N, M]: expected reward of the best plan found that begins so; -inf where none was looked at.
    """
    view = state.view
    worth = np.full((view.n_nodes, view.n_middle), -np.inf)
    marks = _marks(state)
    grown = _grow(_Beam.at(state), marks, gains, outlook, settings, 0.0)
    if grown is None:
        return worth
    step, beam = grown
    beam = replace(beam, first=np.arange(len(beam.value)))
    best = beam.value.copy()
    for _ in range(settings.horizon - 1):
        grown = _grow(beam, marks, gains, outlook, settings, 0.0, following)
        if grown is None:
            break
        beam = grown[1]
        np.maximum.at(best, beam.first, beam.value)
    worth[step.node, step.layer] = best
    return worth


def _marks(state: PlanState) -> Ints:
    """[N, M]: numbers by whose sums sets of hops are told apart."""
    shape = state.view.n_nodes, state.view.n_middle
    return np.random.default_rng(0).integers(2**62, size=shape)


def _search(state: PlanState, gains: GainModel, outlook: Outlook, settings: Settings, haste: float) -> Plan:
    view = state.view
    marks, beam, steps = _marks(state), _Beam.at(state), list[Taken]()
    best, depth, plan = 0.0, 0, 0
    while len(steps) < min(settings.horizon, depth + settings.patience):
        grown = _grow(beam, marks, gains, outlook, settings, haste * view.objective.prices()[0])
        if grown is None:
            break
        steps.append(grown[0])
        beam = grown[1]
        if beam.value.max() > best:
            best, depth, plan = float(beam.value.max()), len(steps), int(beam.value.argmax())
    hops = []
    for step in reversed(steps[:depth]):
        hops.append(step.hop(plan))
        plan = int(step.parent[plan])
    return Plan(tuple(reversed(hops)))


@dataclass(frozen=True)
class _Beam:
    """The plans of one depth."""

    state: PlanState
    value: Floats
    """[B]: expected reward so far."""
    key: Ints
    """[B]: the same for plans with the same hops, in whatever order."""
    first: Ints
    """[B]: number of the first hop, where beams are followed for each; else 0."""

    @classmethod
    def at(cls, state: PlanState) -> _Beam:
        """Of the plan without a hop."""
        none = np.zeros(1, dtype=np.int64)
        return cls(state, np.zeros(1), none, none)


def _grow(
    beam: _Beam,
    marks: Ints,
    gains: GainModel,
    outlook: Outlook,
    settings: Settings,
    haste: float,
    following: int | None = None,
) -> tuple[Taken, _Beam] | None:
    """The best plans with one hop more, or so many for each first hop; None if there is none.

    `haste`: see `Settings`, per second.
    """
    offers = Offers.of(beam.state, gains, outlook, np.array(settings.waits))
    total = beam.value[:, None, None, None] + offers.reward
    liked = total - haste * offers.ends_s if haste else total
    chosen = _kept(beam, marks, liked, settings.width, following)
    if not len(chosen):
        return None
    step, then = offers.taken(chosen)
    key = beam.key[step.parent] + marks[step.node, step.layer]
    return step, _Beam(then, total.ravel()[chosen], key, beam.first[step.parent])


def _kept(beam: _Beam, marks: Ints, liked: Floats, width: int, following: int | None) -> Ints:
    """Flat indices into `liked` [B, W, N, M] of the plans to follow, the best first.

    At most `width`, or `following` of each first hop; of those with the same hops and the same last node the
    best alone.
    """
    n_nodes = liked.shape[2]
    keys = beam.key[:, None, None, None] + marks + np.arange(n_nodes)[:, None]  # and who is last
    keys = np.broadcast_to(keys, liked.shape).ravel()
    if following is None:
        return _chosen(liked.ravel(), keys)[:width]
    first = np.broadcast_to(beam.first[:, None, None, None], liked.shape).ravel()
    chosen = _chosen(liked.ravel(), keys + first * n_nodes)
    kept: Ints = chosen[_rank_among_equals(first[chosen]) < following]
    return kept


def _rank_among_equals(numbers: Ints) -> Ints:
    """[K]: how often each number stood before its place."""
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    return rank


def _chosen(liked: Floats, keys: Ints) -> Ints:
    """Indices of plans, best first and ties by index; of those with the same key the first alone."""
    possible = np.flatnonzero(liked > -np.inf)
    order = possible[np.argsort(-liked[possible], kind="stable")]
    first: Ints = np.sort(np.unique(keys[order], return_index=True)[1])
    return order[first]
