"""Which features move a policy's choice: permutation importance.

A feature is permuted in recorded states while all else stays, and the policy is asked again (Breiman, "Random
Forests", Machine Learning 2001, section 10; for any model: Fisher, Rudin and Dominici, "All Models are Wrong,
but Many are Useful", JMLR 2019). Nothing but its own first answer is the truth here: what is measured is how
much the policy leans on a feature, not whether it should.

Two ways of permuting, as two questions:

- `pairs`: within a state, among the nodes, layers or pairs that are legal in it. What tells one from another
  is lost, what all of them have in common stays: *whom* does it choose by this?
- `states`: the feature of all nodes, layers or pairs is taken from another state together. How it stands in
  this very state is lost: *when* does it do what it does?

Two features that say much the same share their importance: each can stand in for the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from snakegym.agents.learned import LearnedScheduler, Memory
from snakegym.control.view import Floats
from snakegym.envs.encoder import Encoded
from snakegym.envs.features.layers import LAYER_FEATURES
from snakegym.envs.features.nodes import NODE_FEATURES
from snakegym.envs.features.pairs import PAIR_FEATURES
from snakegym.envs.features.process import PROCESS_FEATURES
from snakegym.training.analysis.intervals import Estimate, ratio_of_means
from snakegym.training.explain.disagreement import bounded
from snakegym.training.explain.states import Sight

Part = Literal["nodes", "layers", "pairs", "process"]
Way = Literal["pairs", "states"]
FEATURES: dict[Part, tuple[str, ...]] = {
    "nodes": NODE_FEATURES,
    "layers": LAYER_FEATURES,
    "pairs": PAIR_FEATURES,
    "process": PROCESS_FEATURES,
}
EVERYTHING = "(all of them)"
"""A part's features together, each row as a whole: how much is in the part."""
MOST_NUMBERS = 2_000_000
"""Of pairs in the states that a policy is asked about at once, times a width of about 100: memory."""

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Feature:
    """What is permuted: one feature of one part of an observation, or EVERYTHING in it."""

    part: Part
    name: str
    way: Way


@dataclass(frozen=True)
class Moved:
    """What became of a policy's choice, [states] each, means over the repetitions."""

    changed: Floats
    """How often another action was the most likely one, in [0, 1]."""
    divergence: Floats
    """Kullback-Leibler divergence of the probabilities of all actions from what they were, nats."""


@dataclass(frozen=True)
class Sights:
    """Recorded states of one run, stacked."""

    observations: Encoded
    """[n, …] each."""
    masks: Bools
    """[n, n_actions]."""
    episodes: NDArray[np.int64]
    """[n]: which episode a state is of."""
    memory: Memory = ()
    """[layers, n, width] each, of a policy that has one."""


@dataclass(frozen=True)
class Weight:
    """How much a policy leans on a feature, over all states, episodes and training seeds."""

    feature: Feature
    changed: Estimate
    """Share of the choices that change."""
    divergence: Estimate
    """Nats."""


def weigh(feature: Feature, moved: Sequence[tuple[Sights, Moved]]) -> Weight:
    """What one feature does to the policies of all training seeds; of one, to the episodes of it."""

    def over(values: Sequence[Floats], most: float) -> Estimate:
        if len(values) > 1:
            return bounded(ratio_of_means([v.sum() for v in values], [len(v) for v in values]), most)
        episodes = moved[0][0].episodes
        return bounded(ratio_of_means(np.bincount(episodes, values[0]), np.bincount(episodes)), most)

    return Weight(
        feature,
        over([each.changed for _, each in moved], 1.0),
        over([each.divergence for _, each in moved], np.inf),
    )


def all_features() -> list[Feature]:
    """Everything that is permuted. Of the process there is but one row: it is permuted among states alone."""
    ways: dict[Part, tuple[Way, ...]] = {part: ("pairs", "states") for part in FEATURES}
    ways["process"] = ("states",)
    return [
        Feature(part, name, way)
        for part, names in FEATURES.items()
        for name in (EVERYTHING, *names)
        for way in ways[part]
    ]


def stack(episodes: Sequence[Sequence[Sight]], most: int) -> Sights:
    """The states of some episodes, `most` of them evenly over all."""
    sights = [(number, sight) for number, episode in enumerate(episodes) for sight in episode]
    places = np.unique(np.linspace(0, len(sights) - 1, min(most, len(sights))).round().astype(int))
    kept = [sights[place] for place in places]
    first = kept[0][1].observation
    return Sights(
        {key: np.stack([sight.observation[key] for _, sight in kept]) for key in first},
        np.stack([sight.mask for _, sight in kept]),
        np.array([number for number, _ in kept], np.int64),
        tuple(np.concatenate(parts, axis=1) for parts in zip(*(s.memory for _, s in kept), strict=True)),
    )


def importance(
    policy: LearnedScheduler, sights: Sights, repetitions: int, seed: int
) -> Iterator[tuple[Feature, Moved]]:
    """How much each of `all_features` moves the policy's choice.

    Args:
        policy: is asked about the states, as they are and permuted; what it remembers stays as it was.
        sights: recorded states.
        repetitions: permutations of each feature.
        seed: of the permutations.
    """
    rng = np.random.default_rng(seed)
    before = _asked(policy, sights, sights.observations)
    for feature in all_features():
        changed, divergence = np.zeros(len(before)), np.zeros(len(before))
        for _ in range(repetitions):
            after = _asked(policy, sights, permuted(sights.observations, feature, rng))
            changed += after.argmax(axis=1) != before.argmax(axis=1)
            # Rounding may leave a hair less than nothing.
            divergence += np.maximum(0.0, (np.exp(before) * (before - after)).sum(axis=1))
        yield feature, Moved(changed / repetitions, divergence / repetitions)


def _asked(policy: LearnedScheduler, sights: Sights, observations: Encoded) -> Floats:
    """Log probabilities [n, n_actions], of a few states at a time; all but the observations as recorded."""
    n, step = len(sights.masks), max(1, MOST_NUMBERS // (100 * sights.masks.shape[1]))
    parts = [
        policy.log_probabilities(
            {k: v[i : i + step] for k, v in observations.items()},
            sights.masks[i : i + step],
            tuple(part[:, i : i + step] for part in sights.memory),
        )
        for i in range(0, n, step)
    ]
    return np.concatenate(parts)


def permuted(observations: Encoded, feature: Feature, rng: np.random.Generator) -> Encoded:
    """The observations [n, …] with one feature permuted, all else as it is."""
    part, names = feature.part, FEATURES[feature.part]
    n = len(observations[part])
    table = observations[part].reshape(n, -1, len(names)).copy()  # [n, rows, features]
    columns = (
        slice(None) if feature.name == EVERYTHING else slice(place := names.index(feature.name), place + 1)
    )
    if feature.way == "states":
        table[..., columns] = table[rng.permutation(n)][..., columns]
    else:
        order = _among(_candidates(observations, part), rng)
        shuffled = np.take_along_axis(table, order[..., None], axis=1)
        table[..., columns] = shuffled[..., columns]
    return {**observations, part: table.reshape(n, -1)}


def _candidates(observations: Encoded, part: Part) -> Bools:
    """[n, rows]: nodes, layers or pairs that are legal."""
    n = len(observations["pairs"])
    pairs = observations["pairs"].reshape(n, -1, len(PAIR_FEATURES))
    legal: Bools = pairs[..., PAIR_FEATURES.index("legal")] > 0
    if part == "pairs":
        return legal
    n_nodes = observations["nodes"].shape[1] // len(NODE_FEATURES)
    return np.asarray(legal.reshape(n, n_nodes, -1).any(axis=2 if part == "nodes" else 1))


def _among(candidates: Bools, rng: np.random.Generator) -> NDArray[np.int64]:
    """[n, rows]: for each row the one whose values it gets; those that are no candidates keep theirs."""
    keys = np.where(candidates, rng.random(candidates.shape), np.inf)
    places = np.argsort(~candidates, axis=1, kind="stable")  # candidates first, in order
    drawn = np.argsort(keys, axis=1, kind="stable")  # candidates first, as drawn; the others in order
    order = np.empty(candidates.shape, np.int64)
    np.put_along_axis(order, places, drawn, axis=1)
    return order
