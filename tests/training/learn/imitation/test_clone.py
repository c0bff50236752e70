"""A policy that is taught does as it was taught, and values what came of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from snakegym.agents.learned import build_policy
from snakegym.agents.trained.config import Network
from snakegym.envs.encoder import ViewEncoder
from snakegym.envs.features.pairs import PAIR_FEATURES
from snakegym.training.learn.imitation.clone import Lesson, clone, of_the_same_weights
from snakegym.training.learn.imitation.states import States

WIDTH = 16


def made_up(n_nodes: int, n_middle: int, episodes: int = 20, length: int = 10, seed: int = 0) -> States:
    """Whoever has the largest first feature is right; the return is the length of what is left."""
    rng, n = np.random.default_rng(seed), episodes * length
    space: spaces.Dict = ViewEncoder(n_nodes, n_middle).space
    observed = {k: rng.uniform(-1, 1, (n, *box.shape)).astype(np.float16) for k, box in space.items()}
    pairs = observed["pairs"].reshape(n, n_nodes * n_middle, len(PAIR_FEATURES))
    mask = np.ones((n, n_nodes * n_middle + 2), dtype=bool)
    mask[:, 0] = False
    wanted = 1 + pairs[:, 1:, 1].argmax(axis=1)
    label = np.zeros(mask.shape, dtype=np.float16)
    label[np.arange(n), wanted] = 1
    left = np.tile(np.arange(length, 0, -1), episodes).astype(np.float32)
    observed["process"][:, 0] = left / length
    return States(
        **observed,
        mask=mask,
        label=label,
        returns=left,
        valued=np.ones(n, dtype=bool),
        episode=np.repeat(np.arange(episodes), length).astype(np.int32),
        experience=np.zeros((n, 0), dtype=np.float32),
    )


def fresh(n_nodes: int, n_middle: int, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    policy = build_policy(
        Network(policy="pairwise", width=WIDTH),
        True,
        ViewEncoder(n_nodes, n_middle).space,
        n_nodes * n_middle + 2,
    )
    return policy


def taught(policy: Any, lessons: list[Lesson], **changed: Any) -> list[dict[str, float]]:
    options = {"epochs": 30, "learning_rate": 1e-2, "values": True, "masked": True, "seed": 0} | changed
    return clone(policy, lessons, **options)


def test_what_was_taught_is_done() -> None:
    policy = fresh(4, 3)
    rows = taught(policy, [Lesson(policy, made_up(4, 3, episodes=50))])
    assert rows[0]["agreement"] < 0.3
    best = min(rows, key=lambda row: row["loss"])
    assert best["agreement"] > 0.7
    assert best["loss"] < 0.5 * rows[0]["loss"]
    assert best["value_error"] < 0.5 * rows[0]["value_error"]


def test_the_weights_that_did_best_are_kept() -> None:
    policy, states = fresh(4, 3), made_up(4, 3, episodes=4)
    rows = taught(policy, [Lesson(policy, states)], epochs=60)
    assert len(rows) < 61, "it ends where it learns by heart"
    again = taught(policy, [Lesson(policy, states)], epochs=1, learning_rate=1e-9)
    assert again[0]["loss"] == pytest.approx(min(row["loss"] for row in rows))


def test_sizes_share_their_weights() -> None:
    policy = fresh(5, 3)
    sizes = [(5, 3), (3, 2)]
    others = [of_the_same_weights(policy, fresh(*size, seed=1)) for size in sizes]
    lessons = [Lesson(p, made_up(*size)) for p, size in zip(others, sizes, strict=True)]
    rows = taught(policy, lessons)
    assert min(row["loss"] for row in rows) < 0.6 * rows[0]["loss"]
    for other in others:
        for mine, theirs in zip(policy.parameters(), other.parameters(), strict=True):
            assert torch.equal(mine, theirs)


def test_it_repeats_itself_and_leaves_generators_alone() -> None:
    weights = []
    for _ in range(2):
        policy = fresh(3, 2)
        torch.manual_seed(7)
        np.random.seed(7)  # noqa: NPY002
        before = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index, union-attr] # noqa: NPY002
        taught(policy, [Lesson(policy, made_up(3, 2))], epochs=2)
        assert torch.equal(torch.get_rng_state(), before[0])
        assert (np.random.get_state()[1] == before[1]).all()  # type: ignore[index] # noqa: NPY002
        weights.append(policy.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(weights[0].values(), weights[1].values(), strict=True))


def test_no_episode_is_on_both_sides() -> None:
    lesson = Lesson(None, made_up(3, 2, episodes=25))
    episode = lesson.states.episode
    assert not {*episode[lesson.fit]} & {*episode[lesson.aside]}
    assert len(lesson.fit) + len(lesson.aside) == len(lesson.states)
    assert 0.05 < len(lesson.aside) / len(lesson.states) < 0.2
    alone = Lesson(None, made_up(3, 2, episodes=1))
    assert len(alone.fit) > len(alone.aside) >= 1
