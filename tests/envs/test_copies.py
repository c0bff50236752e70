"""Environments that travel: pickled, copied and described as JSON, they go on as the original does."""

from __future__ import annotations

import copy
import multiprocessing
import pickle

import gymnasium as gym
import numpy as np
import pytest
import torch

from snakegym.envs.sb3 import SerpentineVecEnv

WAYS = {"pickle": lambda x: pickle.loads(pickle.dumps(x)), "deepcopy": copy.deepcopy}


def under_way(**kwargs):
    """An environment in the middle of an episode, wrappers and all."""
    env = gym.make("snakegym/Serpentine-v1", **kwargs)
    env.reset(seed=3)
    env.action_space.seed(3)
    for _ in range(4):
        env.step(env.action_space.sample(env.unwrapped.action_masks().view(np.int8)))
    return env


def go_on(env, n: int = 6) -> list:
    """The next steps, the reset after them and its first step: all that an environment draws and computes."""
    steps = []
    for reset in (False, True):
        if reset:
            steps.append(env.reset())
        for _ in range(n):
            mask = env.unwrapped.action_masks().view(np.int8)
            steps.append(env.step(env.action_space.sample(mask)))
            if steps[-1][2] or steps[-1][3]:
                break
    return steps


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("scenario", ["default", "flaky", "crowd"])
def test_a_copy_goes_on_bit_exactly(way, scenario):
    env = under_way(scenario=scenario)
    twin = WAYS[way](env)
    np.testing.assert_equal(go_on(twin), go_on(env))


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_of_a_half_done_step_finishes_it(way):
    env = under_way().unwrapped
    job = env.begin(int(np.argmax(env.action_masks())))
    twin = WAYS[way](env)
    np.testing.assert_equal(twin.finish(twin.executor.run(job)), env.finish(env.executor.run(job)))


def test_an_environment_that_was_never_reset_is_pickled():
    env = gym.make("snakegym/SerpentineMasked-v1")
    np.testing.assert_equal(WAYS["pickle"](env).reset(seed=1), env.reset(seed=1))


def test_what_all_processes_share_is_loaded_once():
    env = under_way()
    assert WAYS["pickle"](env).unwrapped.service is env.unwrapped.service


def continued(pickled: bytes) -> list:
    torch.set_num_threads(1)
    return go_on(pickle.loads(pickled))


@pytest.mark.slow
def test_a_pickle_goes_on_bit_exactly_in_another_process():
    env = under_way()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        elsewhere = pool.apply(continued, (pickle.dumps(env),))
    np.testing.assert_equal(elsewhere, go_on(env))


@pytest.mark.parametrize("way", WAYS)
def test_vectors_go_on_bit_exactly(brief, way):
    env = gym.make_vec("snakegym/Serpentine-v1", num_envs=2, scenario=brief)
    env.reset(seed=0)
    env.step(np.argmax(env.unwrapped.action_masks(), axis=1))
    twin = WAYS[way](env)
    for _ in range(5):
        actions = np.argmax(env.unwrapped.action_masks(), axis=1)
        np.testing.assert_equal(twin.step(actions), env.step(actions))


@pytest.mark.parametrize("way", WAYS)
def test_sb3_vectors_go_on_bit_exactly(brief, way):
    env = SerpentineVecEnv(2, scenario=brief)
    env.seed(0)
    env.reset()
    env.step(np.array([0, 1]))
    twin = WAYS[way](env)
    for _ in range(5):
        actions = np.argmax(env.env_method("action_masks"), axis=1)
        *mine, infos = twin.step(actions)
        *theirs, other = env.step(actions)
        np.testing.assert_equal(mine, theirs)
        for info in (*infos, *other):
            info.get("episode", {}).pop("t", None)  # wall-clock time, as SB3 has it
        np.testing.assert_equal(infos, other)
