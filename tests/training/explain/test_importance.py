"""Permutation importance: what is permuted, and that a policy's own features are found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakegym.agents.registry import make_scheduler
from snakegym.envs.action import ActionCodec
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.training.explain.importance import (
    EVERYTHING,
    FEATURES,
    Feature,
    all_features,
    importance,
    permuted,
    stack,
    weigh,
)
from snakegym.training.explain.states import Sight

N_NODES, N_MIDDLE = 4, 3
CODEC = ActionCodec(N_NODES, N_MIDDLE, "free")


def random_sights(rng, n):
    """States with random features, about half of the pairs legal."""
    found = []
    for _ in range(n):
        legal = rng.random((N_NODES, N_MIDDLE)) < 0.5
        tables = {
            part: rng.uniform(-1, 1, (rows, len(names))).astype(np.float32)
            for (part, names), rows in zip(
                FEATURES.items(), (N_NODES, N_MIDDLE, N_NODES * N_MIDDLE, 1), strict=True
            )
        }
        tables["pairs"][:, FEATURES["pairs"].index("legal")] = legal.ravel()
        mask = np.concatenate([legal.ravel(), [True, True]])
        found.append(Sight({part: t.ravel() for part, t in tables.items()}, mask))
    return found


class Leaning:
    """A policy that knows one feature alone: it likes the least of it best, or finishes by it."""

    def __init__(self, part, name):
        self.part, self.place = part, FEATURES[part].index(name)

    def log_probabilities(self, observations, masks, memory):
        n = len(masks)
        logits = np.zeros(masks.shape)
        table = observations[self.part].reshape(n, -1, len(FEATURES[self.part]))[..., self.place]
        if self.part == "process":
            logits[:, CODEC.finish] = 5 * table[:, 0]
        elif self.part == "nodes":
            logits[:, : CODEC.wait] = np.repeat(-table, N_MIDDLE, axis=1)
        else:
            logits[:, : CODEC.wait] = -table
        logits = np.where(masks, logits, -1e8)
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


@pytest.mark.parametrize(("part", "name"), [("pairs", "time"), ("nodes", "uplink"), ("process", "metric")])
def test_the_one_feature_that_a_policy_knows_is_found(part, name):
    rng = np.random.default_rng(0)
    sights = stack([random_sights(rng, 20), random_sights(rng, 10)], 100)
    found = {
        feature: moved for feature, moved in importance(Leaning(part, name), sights, repetitions=3, seed=0)
    }
    assert list(found) == all_features()
    for feature, moved in found.items():
        knows = feature.part == part and feature.name in (name, EVERYTHING)
        assert (moved.divergence.sum() > 0) == knows, feature
        assert (moved.changed.sum() > 0) == knows, feature
        weight = weigh(feature, [(sights, moved)])
        assert weight.changed.value == pytest.approx(moved.changed.mean())
        assert weight.changed.units == 2
        assert 0 <= weight.changed.low <= weight.changed.value <= weight.changed.high <= 1


@given(feature=st.sampled_from(all_features()), seed=st.integers(0, 100), n=st.integers(1, 6))
def test_a_permutation_moves_one_feature_and_loses_no_value(feature: Feature, seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    sights = stack([random_sights(rng, n)], n)
    before = {key: value.copy() for key, value in sights.observations.items()}
    after = permuted(sights.observations, feature, rng)
    names = FEATURES[feature.part]
    for part, table in before.items():
        assert np.array_equal(sights.observations[part], table)
        if part != feature.part:
            assert np.array_equal(after[part], table)
    old, new = (tables[feature.part].reshape(n, -1, len(names)) for tables in (before, after))
    own = [feature.name in (EVERYTHING, name) for name in names]
    assert np.array_equal(np.delete(old, own, axis=2), np.delete(new, own, axis=2))
    if feature.way == "states":  # a row comes from the same row of another state
        assert np.array_equal(np.sort(old, axis=0), np.sort(new, axis=0))
        return
    legal = before["pairs"].reshape(n, N_NODES, N_MIDDLE, -1)[..., FEATURES["pairs"].index("legal")] > 0
    allowed = {"nodes": legal.any(axis=2), "layers": legal.any(axis=1), "pairs": legal.reshape(n, -1)}
    kept = allowed[feature.part]
    assert np.array_equal(old[~kept], new[~kept])
    for one, other, among in zip(old, new, kept, strict=True):
        assert np.array_equal(np.sort(one[among], axis=0), np.sort(other[among], axis=0))


def test_states_are_drawn_evenly_from_all_episodes():
    rng = np.random.default_rng(0)
    sights = stack([random_sights(rng, 40), random_sights(rng, 20)], 9)
    assert np.bincount(sights.episodes).tolist() == [6, 3]


def test_probabilities_are_those_the_policy_acts_by(trained):
    env = SerpentineEnv(str(trained / "tiny.yaml"))
    env.reset(seed=0)
    policy = make_scheduler(str(trained / "a-0"), env.scenario)
    policy.reset(0)
    for _ in range(3):
        view = env.view()
        mask = policy.mask(view)
        told = policy.log_probabilities({k: v[None] for k, v in policy.encode(view).items()}, mask[None])[0]
        assert np.exp(told).sum() == pytest.approx(1)
        assert np.exp(told[~mask]).sum() == 0
        assert env.codec.encode(policy.schedule(view)) == told.argmax()
        env.step(int(np.flatnonzero(mask)[0]))
