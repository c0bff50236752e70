"""Where a policy and a planner differ: how often, in what way, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from snakegym.training.analysis.intervals import Estimate, ratio_of_means
from snakegym.training.explain.states import KINDS, QUALITIES, Kind, State

Units = Sequence[Sequence[State]]
"""Decisions of each independent unit: of each training seed where there are several, else of each episode."""
QUARTERS = ("first quarter", "second", "third", "last")
MOST_PLACES = 9
"""Places in a cycle that are told apart."""


@dataclass(frozen=True)
class Shares:
    """Of some of the decisions."""

    decisions: int
    of_kind: dict[Kind, Estimate]
    """Share of each kind of difference, and under `same` of those without."""


@dataclass(frozen=True)
class Disagreement:
    """Of a policy with a planner."""

    all: Shares
    by_quarter: dict[str, Shares]
    """By how far into the episode: quarters of its decisions."""
    by_position: dict[str, Shares]
    """By how many layers of the cycle were trained."""
    qualities: dict[str, Compared]
    """What tells the policy's pairs from the planner's, where they differ; empty if they never do."""


@dataclass(frozen=True)
class Compared:
    """Means over the decisions in which both name a pair, and another one."""

    policy: float
    planner: float
    difference: Estimate
    """The policy's minus the planner's."""


def units_of(seeds: Sequence[Sequence[Sequence[State]]]) -> Units:
    """Of the episodes of each training seed."""
    if len(seeds) == 1:
        return seeds[0]
    return [[state for episode in seed for state in episode] for seed in seeds]


def disagreement(seeds: Sequence[Sequence[Sequence[State]]], n_middle: int) -> Disagreement:
    """Everything about how decisions differ.

    Args:
        seeds: of each training seed, of each episode, the decisions in their order.
        n_middle: layers of a cycle.
    """
    units = units_of(seeds)
    n_places = min(n_middle, MOST_PLACES)
    return Disagreement(
        _shares(units),
        _split(units, QUARTERS, lambda state: int(4 * state.progress)),
        _split(
            units,
            [_place_name(place, n_middle, n_places) for place in range(n_places)],
            lambda state: min(state.position * n_places // n_middle, n_places - 1),
        ),
        dict(_compared(units)),
    )


def _place_name(place: int, n_middle: int, n_places: int) -> str:
    low, high = (-(-n_middle * p // n_places) for p in (place, place + 1))
    return str(low) if high == low + 1 else f"{low} to {high - 1}"


def _split(units: Units, names: Sequence[str], place: Callable[[State], int]) -> dict[str, Shares]:
    """The decisions by their place, of each name that has any."""
    parted = [[[s for s in unit if place(s) == number] for unit in units] for number in range(len(names))]
    return {name: _shares(part) for name, part in zip(names, parted, strict=True) if any(part)}


def _shares(units: Units) -> Shares:
    counts = [len(unit) for unit in units]
    kinds: tuple[Kind, ...] = ("same", *KINDS)
    return Shares(
        sum(counts),
        {
            kind: bounded(ratio_of_means([sum(s.kind == kind for s in unit) for unit in units], counts))
            for kind in kinds
        },
    )


def bounded(e: Estimate, most: float = 1.0) -> Estimate:
    """Its interval within [0, most], where Student's t does not know that nothing else is possible."""
    if e.low is None or e.high is None:
        return e
    return replace(e, low=max(0.0, e.low), high=min(most, e.high))


def _compared(units: Units) -> Iterator[tuple[str, Compared]]:
    pairs = [
        [s.qualities for s in unit if s.qualities is not None and np.isfinite(s.qualities).all()]
        for unit in units
    ]
    counts = [len(unit) for unit in pairs]
    if not any(counts):
        return
    for place, name in enumerate(QUALITIES):
        policy, planner = (
            np.array([sum(both[who][place] for both in unit) for unit in pairs]) for who in (0, 1)
        )
        yield (
            name,
            Compared(
                float(policy.sum() / sum(counts)),
                float(planner.sum() / sum(counts)),
                ratio_of_means(policy - planner, counts),
            ),
        )
