"""Which hops are tried, and what is made of their rewards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml

from snakegym.control.records import Assignment
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.training.scenarios.probes import LATEST, PAIRS, REPETITIONS, STATES, probe, shares, try_hop


def varied(tiny: str, **changes: Any) -> SerpentineEnv:
    with open(tiny) as file:
        scenario = yaml.safe_load(file)
    for path, value in changes.items():
        *above, name = path.split("__")
        section = scenario
        for key in above:
            section = section[key]
        section[name] = value
    return SerpentineEnv(scenario)


def measured(rewards: np.ndarray) -> np.ndarray:
    done: np.ndarray = np.isfinite(rewards).all(axis=2)
    assert (np.isfinite(rewards).any(axis=2) == done).all()
    return done


def test_trying_a_hop_depends_on_the_seed_of_training_alone_and_leaves_the_state(tiny: str) -> None:
    env = SerpentineEnv(tiny)
    env.reset(seed=0)
    view = env.view()
    first = [try_hop(env, Assignment(1, 2), seed) for seed in (5, 6, 5)]
    assert first[0] == first[2] != first[1]
    assert env.view() is view
    costs = env.step(env.codec.encode(Assignment(1, 2)))[4]
    for seed in (5, 6):  # what a hop costs is not drawn
        env.reset(seed=0)
        env.controller.reseed(seed)
        again = env.step(env.codec.encode(Assignment(1, 2)))[4]
        assert {k: again[k] for k in ("time_s", "energy_j", "n_bytes")} == {
            k: costs[k] for k in ("time_s", "energy_j", "n_bytes")
        }


def test_every_legal_pair_is_tried_in_states_with_a_choice(tiny: str) -> None:
    """Too large a model for the small device: there the deep layers stay untried."""
    small = {"peak_flops": 1.0e7, "compute_power_w": 0.3, "radio_power_w": 0.5}
    blocks = {"name": "blocks", "options": {"middle": 4, "smallest": 8, "largest": 4096}}
    devices = [
        {**small, "name": "small", "memory_bytes": 2.5e6},
        {**small, "name": "large", "memory_bytes": 1.0e8},
    ]
    env = varied(tiny, model=blocks, network__devices=devices, network__nodes=8)
    env.reset(seed=0)
    fits = env.view().nodes.memory_bytes[:, None] >= env.view().layers.memory_bytes
    assert fits[:, 0].all()
    assert not fits[:, -1].all()
    found = probe(env, 0)
    assert 0 < len(found) <= STATES
    assert [p.hops for p in found] == sorted(p.hops for p in found)
    assert any(np.isnan(p.rewards[:, -1]).any() and np.isfinite(p.rewards[:, -1]).any() for p in found)
    for p in found:
        assert p.rewards.shape == (8, 4, REPETITIONS)
        assert p.hops < min(LATEST, 5)
        done = measured(p.rewards)
        assert done.any(axis=1).sum() > 1
        assert done.any(axis=0).sum() > 1
        assert (p.rewards[done][:, 0] != p.rewards[done][:, 1]).any()
    again = probe(env, 0)
    for p, q in zip(found, again, strict=True):
        np.testing.assert_array_equal(p.rewards, q.rewards)


def test_of_too_many_pairs_some_nodes_and_layers_are_drawn(tiny: str) -> None:
    env = varied(tiny, network__nodes=40, process__budget={"time_s": 600, "hops": 1})
    (*_, last) = probe(env, 1)
    done = measured(last.rewards)
    assert 0.7 * PAIRS < done.sum() <= PAIRS
    assert done.any(axis=0).all()  # of seven layers none is left out


def test_where_the_process_chooses_the_layer_no_share_is_the_layers(tiny: str) -> None:
    found = shares(probe(varied(tiny, process__layer_order="serpentine"), 0))
    assert found.layer == found.both == 0
    assert found.node > 0
    assert found.node + found.repetition == pytest.approx(1)


def test_layers_that_differ_have_a_larger_share_than_layers_that_do_not(tiny: str) -> None:
    """Bytes alone are priced: the whole model down on a first visit, what was trained up after every one."""
    nominal = {"time_s": 10, "energy_j": 2, "n_bytes": 2e4}
    objective = {"gain": 0, "time": 0, "energy": 0, "n_bytes": 1, "nominal": nominal}
    blocks = {"name": "blocks", "options": {"middle": 7, "smallest": 8, "largest": 512}}
    alike, uneven = (
        shares(probe(varied(tiny, objective=objective, **changes), 0)) for changes in ({}, {"model": blocks})
    )
    assert alike.layer + alike.both < 0.001
    assert uneven.layer > 0.1
    assert alike.repetition == uneven.repetition == 0
