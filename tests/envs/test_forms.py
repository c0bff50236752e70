"""The forms of the observation against gymnasium's own flattening and the environment's mask."""

from __future__ import annotations

import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sb3_contrib.common.maskable.utils import get_action_masks
from stable_baselines3.common.env_checker import check_env as sb3_check_env
from stable_baselines3.common.vec_env import VecFrameStack

from snakegym.envs.sb3 import SerpentineVecEnv

ID = "snakegym/Serpentine-v1"
FLAT, MASKED = "snakegym/SerpentineFlat-v1", "snakegym/SerpentineMasked-v1"


def make(env_id: str = ID, **kwargs):
    return gym.make(env_id, **kwargs).unwrapped


@pytest.mark.parametrize("env_id", [FLAT, MASKED])
def test_forms_pass_both_checkers_without_a_warning(env_id):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make(env_id))
        sb3_check_env(make(env_id), skip_render_check=False)


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**31 - 1), actions=st.lists(st.integers(0, 63), min_size=1, max_size=6))
def test_all_forms_show_the_same_process(seed, actions):
    envs = [make(), make(FLAT), make(MASKED)]
    plain, flat, masked = steps = [env.reset(seed=seed) for env in envs]
    for action in [None, *actions]:
        if action is not None:
            plain, flat, masked = steps = [env.step(action) for env in envs]
        np.testing.assert_array_equal(flat[0], spaces.flatten(envs[0].observation_space, plain[0]))
        np.testing.assert_array_equal(masked[0]["observations"], flat[0])
        np.testing.assert_array_equal(masked[0]["action_mask"], envs[0].action_masks())
        assert masked[0]["action_mask"].dtype == np.bool_
        for env, step in zip(envs, steps, strict=True):
            assert env.observation_space.contains(step[0])
            np.testing.assert_equal(step[1:], plain[1:])


def test_the_flat_space_is_what_gymnasium_makes_of_the_dict():
    wrapped = gym.wrappers.FlattenObservation(gym.make(ID))
    assert make(FLAT).observation_space == wrapped.observation_space


def test_the_keys_of_the_masked_form_can_be_chosen():
    env = make(MASKED, observation_key="obs", mask_key="mask")
    observation, _ = env.reset(seed=0)
    assert set(observation) == set(env.observation_space) == {"obs", "mask"}
    np.testing.assert_array_equal(observation["mask"], env.action_masks())


def test_ids_and_arguments_say_the_same():
    assert make(FLAT).observation_space == make(observation="flat").observation_space
    assert make(MASKED).observation_space == make(observation="masked").observation_space
    assert make("snakegym/SerpentineTidalFlat-v1").scenario.name == "tidal"


@pytest.mark.parametrize("env_id", [FLAT, MASKED])
def test_vector_forms_batch_the_single_ones(brief, env_id):
    vector = gym.make_vec(env_id, num_envs=2, scenario=brief)
    alone = make(env_id, scenario=brief)
    observations, _ = vector.reset(seed=4)
    assert vector.observation_space.contains(observations)
    single, _ = alone.reset(seed=5)
    rows = observations if isinstance(single, dict) else {"": observations}
    for key, value in (single if isinstance(single, dict) else {"": single}).items():
        np.testing.assert_array_equal(rows[key][1], value)
        assert rows[key].dtype == value.dtype


@pytest.mark.parametrize("observation", ["flat", "masked"])
def test_sb3_forms_batch_the_single_ones(brief, observation):
    vector = SerpentineVecEnv(2, scenario=brief, observation=observation)
    vector.seed(4)
    observations = vector.reset()
    single, _ = make(scenario=brief, observation=observation).reset(seed=5)
    if observation == "flat":
        np.testing.assert_array_equal(observations[1], single)
    else:
        np.testing.assert_array_equal(observations["action_mask"][1], single["action_mask"])


def test_frames_can_be_stacked_and_masks_stay(brief):
    one = make(FLAT, scenario=brief)
    wrapped = gym.wrappers.FrameStackObservation(one, 3)
    observation, _ = wrapped.reset(seed=4)
    assert wrapped.observation_space.contains(observation)
    assert observation.shape == (3, *one.observation_space.shape)
    stacked = VecFrameStack(SerpentineVecEnv(2, scenario=brief, observation="flat"), 3)
    stacked.seed(4)
    np.testing.assert_array_equal(stacked.reset()[0, -len(observation[-1]) :], observation[-1])
    np.testing.assert_array_equal(get_action_masks(stacked)[0], one.action_masks())
    before = stacked.step(np.argmax(get_action_masks(stacked), axis=1))[0]
    assert stacked.observation_space.contains(before[0])
