"""What a few candidates come to: rolled out with the planner on learned models, over resampled futures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snakegym.agents.improved.learned import Learned
from snakegym.agents.improved.traits import traits
from snakegym.agents.planning.calibration import CalibratedGain
from snakegym.agents.planning.outlook import Outlook
from snakegym.agents.planning.promise import Promise, promise
from snakegym.agents.planning.state import PlanState, over
from snakegym.control.view import Bools, Floats, Ints


@dataclass(frozen=True)
class Rollouts:
    """How much is rolled out."""

    candidates: int = 8
    """Hops that are rolled out: those that promise most by themselves."""
    futures: int = 4
    """Of each candidate; the same ones for all of them."""
    hops: int = 4
    """The candidate, and then the most rewarding ones, before the learned value stands for the rest."""


ROLLOUTS = Rollouts()
"""Of one, two and four hops four brought most on 64 validation episodes of `default`, and none more than
`lookahead` with certainty; nor did four futures on 192, or one without surprises (experiments/learned.md)."""


def most_rewarding(expected: Promise, most: int) -> Ints:
    """[C, 2], C <= most: node and layer of the possible next hops of one plan (B = 1) that promise most."""
    reward = expected.reward[0]
    best = np.argsort(-reward, axis=None, kind="stable")[:most]
    best = best[reward.flat[best] > -np.inf]
    pairs: Ints = np.stack(np.unravel_index(best, reward.shape), axis=1)
    return pairs


def rolled_out(
    state: PlanState,
    pairs: Ints,
    learned: Learned,
    gains: CalibratedGain,
    outlook: Outlook,
    settings: Rollouts,
    rng: np.random.Generator,
) -> Floats:
    """[C]: mean over futures of the reward of a candidate and of what follows it.

    In each future every hop misses what was expected of it as some real one did, drawn from
    `learned.surprises`. A rollout ends where the process does, or where no next hop pays by itself or enough
    were made: there the learned value counts, and nothing where that is negative, as one may finish.

    Args:
        state: one plan (B = 1), where to begin.
        pairs: [C, 2]: node and layer of each candidate; each must be possible.
        learned: value and surprises.
        gains: what hops bring, in this episode.
        outlook: what they cost.
        settings: how much is rolled out.
        rng: of the futures.
    """
    n_candidates, n = len(pairs), len(pairs) * settings.futures
    drawn = rng.integers(len(learned.surprises), size=(settings.hops, settings.futures))
    node, layer = np.repeat(pairs, settings.futures, axis=0).T
    plans, worth, live = state.take(np.zeros(n, dtype=np.int64)), np.zeros(n), np.ones(n, dtype=np.bool_)
    for hop in range(settings.hops + 1):
        expected = promise(plans, gains, outlook)
        if hop:
            node, layer, pays = _most_rewarding(expected)
            ended = over(plans)
            stops = live & (ended | ~pays | (hop == settings.hops))
            rest = np.maximum(0.0, learned.value.of(traits(plans, expected, gains.scale)))
            worth += np.where(stops & ~ended, rest, 0.0)
            live &= ~stops
        if hop == settings.hops or not live.any():
            break
        surprises = np.tile(learned.surprises[drawn[hop]], (n_candidates, 1))
        plans, reward = _surprised(plans, expected, node, layer, surprises, live)
        worth += reward
    mean: Floats = worth.reshape(n_candidates, settings.futures).mean(axis=1)
    return mean


def _most_rewarding(expected: Promise) -> tuple[Ints, Ints, Bools]:
    """Node, layer, and whether it pays, of each plan's next hop."""
    reward = expected.reward.reshape(len(expected.reward), -1)
    best = reward.argmax(axis=1)
    node, layer = np.divmod(best, expected.reward.shape[2])
    return node, layer, reward[np.arange(len(best)), best] > 0


def _surprised(
    plans: PlanState, expected: Promise, node: Ints, layer: Ints, surprises: Floats, live: Bools
) -> tuple[PlanState, Floats]:
    """Each plan one hop on, and the reward of that; plans that do not live earn nothing and do not matter."""
    objective, costs = plans.view.objective, expected.costs
    at = np.arange(len(plans)), node, layer
    time_s, energy_j, node_energy_j = (
        np.where(live, array[at], 0.0) for array in (costs.time_s, costs.energy_j, costs.node_energy_j)
    )
    late_s = time_s * (surprises[:, 1] - 1)
    reward = expected.reward[at] + objective.gain * surprises[:, 0] - objective.prices()[0] * late_s
    then = plans.after(
        node,
        layer,
        time_s=time_s + late_s,
        energy_j=energy_j,
        gain=expected.gain[at] + surprises[:, 0],
        node_energy_j=node_energy_j,
    )
    return then, np.where(live, reward, 0.0)
