"""Environments trained together: gymnasium's vector of single environments is the reference."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snakegym.envs.info import NO_REWARDS
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.envs.vector import SerpentineVectorEnv
from snakegym.errors import SnakegymError
from snakegym.scenario import Scenario

ID = "snakegym/Serpentine-v1"
N = 3


def make(scenario: Scenario | str = "default", n: int = N, **kwargs) -> SerpentineVectorEnv:
    env = gym.make_vec(ID, num_envs=n, scenario=scenario, **kwargs).unwrapped
    assert isinstance(env, SerpentineVectorEnv)
    return env


def reference(scenario: Scenario, mode: AutoresetMode, n: int = N) -> SyncVectorEnv:
    single = lambda: SerpentineEnv(scenario, engine="sequential")  # noqa: E731
    return SyncVectorEnv([single] * n, autoreset_mode=mode)


def masks(env: VectorEnv) -> np.ndarray:
    return np.stack(env.call("action_masks"))


def choose(rng: np.random.Generator, legal: np.ndarray) -> np.ndarray:
    """Random actions, mostly legal hops, sometimes waiting, sometimes illegal."""
    anything = rng.random(len(legal)) < 0.2
    hops = [np.flatnonzero(row[:-2]) for row in legal]
    return np.array(
        [
            rng.integers(legal.shape[1]) if free or len(h) == 0 else rng.choice(h)
            for free, h in zip(anything, hops, strict=True)
        ]
    )


def reset_ended(env: VectorEnv, ended: np.ndarray):
    return env.reset(options={"reset_mask": ended}) if ended.any() else None


@pytest.mark.parametrize("mode", AutoresetMode)
def test_is_step_by_step_what_gymnasium_makes_of_single_environments(brief, mode):
    ours, theirs = make(brief, autoreset_mode=mode, engine="sequential"), reference(brief, mode)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert ours.metadata["autoreset_mode"] is mode
    rng = np.random.default_rng(5)
    assert data_equivalence(ours.reset(seed=5), theirs.reset(seed=5))
    endings = np.zeros(3, int)
    for _ in range(9):
        np.testing.assert_array_equal(ours.action_masks(), masks(theirs))
        actions = choose(rng, ours.action_masks())
        mine, other = ours.step(actions), theirs.step(actions)
        assert data_equivalence(mine, other)
        _, _, terminated, truncated, infos = mine
        assert not truncated.any(), "that is for TimeLimit"
        infos = infos.get("final_info", infos)
        endings += [(terminated & (infos[f"ended_{e}"] > 0)).sum() for e in ("target", "hops", "finish")]
        if mode is AutoresetMode.DISABLED:
            ended = terminated | truncated
            assert data_equivalence(reset_ended(ours, ended), reset_ended(theirs, ended))
    assert endings[:2].min() > 0, "by success and by budget"


def test_the_stacked_engine_gives_the_same_up_to_rounding(brief):
    ours, theirs = make(brief), reference(brief, AutoresetMode.NEXT_STEP)
    rng = np.random.default_rng(1)
    ours.reset(seed=1)
    theirs.reset(seed=1)
    for _ in range(4):
        actions = choose(rng, ours.action_masks())
        mine, other = ours.step(actions), theirs.step(actions)
        np.testing.assert_allclose(mine[4]["metric"], other[4]["metric"], atol=0.01)
        np.testing.assert_allclose(mine[4]["time_s"], other[4]["time_s"])
        for key, value in mine[0].items():
            np.testing.assert_allclose(value, other[0][key], atol=0.05)


def test_same_seed_same_numbers_and_members_differ(brief):
    runs = []
    for _ in range(2):
        env, rng = make(brief), np.random.default_rng(0)
        runs.append([env.reset(seed=3), *(env.step(choose(rng, env.action_masks())) for _ in range(6))])
    assert data_equivalence(*runs)
    nodes = runs[0][0][0]["nodes"]
    assert not np.array_equal(nodes[0], nodes[1])


@pytest.mark.parametrize("seed", [7, [7, 8, 9]])
def test_seeds(brief, seed):
    env = make(brief)
    obs, info = env.reset(seed=seed)
    assert env.np_random_seed == (7, 8, 9)
    for i in range(N):
        single = SerpentineEnv(brief)
        alone, alone_info = single.reset(seed=7 + i)
        for key, value in alone.items():
            np.testing.assert_array_equal(obs[key][i], value)
        assert info["metric"][i] == pytest.approx(alone_info["metric"])


@pytest.mark.parametrize("mode", AutoresetMode)
def test_a_limit_of_steps_truncates_as_gymnasium_does(brief, mode):
    limit = {"scenario": brief, "max_episode_steps": 2, "engine": "sequential"}
    ours = gym.make_vec(ID, num_envs=2, autoreset_mode=mode, **limit)
    theirs = gym.make_vec(
        ID, num_envs=2, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode}, **limit
    )
    assert data_equivalence(ours.reset(seed=5), theirs.reset(seed=5))
    wait, truncations = ours.single_action_space.n - 2, 0
    for _ in range(7):
        mine, other = ours.step(np.array([0, wait])), theirs.step(np.array([0, wait]))
        assert data_equivalence(mine, other)
        truncated = mine[3]
        truncations += truncated.sum()
        if mode is AutoresetMode.DISABLED and truncated.any():
            with pytest.raises(ResetNeeded, match="reset_mask"):
                ours.step(np.array([0, wait]))
            assert data_equivalence(reset_ended(ours, truncated), reset_ended(theirs, truncated))
    assert (
        truncations
        == {AutoresetMode.NEXT_STEP: 4, AutoresetMode.SAME_STEP: 6, AutoresetMode.DISABLED: 6}[mode]
    )


def test_make_vec_takes_it_by_default_and_by_name(brief):
    for kwargs in ({}, {"vectorization_mode": "vector_entry_point"}):
        env = gym.make_vec(ID, num_envs=2, scenario=brief, **kwargs)
        assert isinstance(env, SerpentineVectorEnv)
        assert env.spec.id == ID
        assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
        env.close()
    one = gym.make_vec(ID, scenario=brief)
    assert one.num_envs == 1
    assert make(brief, autoreset_mode="SameStep").autoreset_mode is AutoresetMode.SAME_STEP


def test_a_single_mask_reset_leaves_the_others_alone(brief):
    env = make(brief, autoreset_mode="Disabled")
    env.reset(seed=0)
    env.step(choose(np.random.default_rng(0), env.action_masks()))
    before = env.call("controller")
    env.reset(seed=[None, 4, None], options={"reset_mask": np.array([False, True, False])})
    after = env.call("controller")
    assert [a is b for a, b in zip(after, before, strict=True)] == [True, False, True]


def test_disabled_autoreset_asks_for_a_reset_and_steps_nobody(brief):
    env = make(brief, autoreset_mode="Disabled")
    env.reset(seed=0)
    ended = np.zeros(N, bool)
    while not ended.any():
        *_, terminated, truncated, _ = env.step(np.argmax(env.action_masks(), axis=1))
        ended = terminated | truncated
    hops = env.call("_info", NO_REWARDS)
    with pytest.raises(ResetNeeded, match="reset_mask"):
        env.step(np.zeros(N, int))
    assert data_equivalence(hops, env.call("_info", NO_REWARDS))


def test_wrong_actions_are_named_and_step_nobody(brief):
    env = make(brief)
    env.reset(seed=0)
    n = env.single_action_space.n
    for wrong in ([0, 0], [0, 0, n], [0, -1, 0], [0.0, 1.0, 2.0], 3):
        with pytest.raises(SnakegymError, match=rf"^actions: found .*, expected 3 integers in \[0, {n}\)$"):
            env.step(wrong)
    env.step(np.zeros(N, int))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"n": 0}, "num_envs: found 0"),
        ({"autoreset_mode": "Never"}, "autoreset_mode: found 'Never', expected NextStep, SameStep, Disabled"),
        ({"engine": "quantum"}, "engine: found 'quantum'"),
        ({"scenario": "nowhere"}, "unknown scenario 'nowhere'"),
    ],
)
def test_bad_arguments_are_named(kwargs, message):
    with pytest.raises(SnakegymError, match=message):
        make(**kwargs)


def test_before_the_first_reset(brief):
    with pytest.raises(ResetNeeded):
        make(brief).step(np.zeros(N, int))


def test_attributes_rendering_and_closing(brief):
    env = make(brief, render_mode="ansi")
    env.reset(seed=0)
    env.set_attr("note", ["a", "b", "c"])
    assert env.get_attr("note") == ("a", "b", "c")
    assert [m.shape for m in env.call("action_masks")] == [(env.single_action_space.n,)] * N
    assert all("validation accuracy" in frame for frame in env.render())
    env.close()
    assert env.closed


def test_a_member_can_be_stepped_by_itself(brief):
    env = make(brief)
    env.reset(seed=0)
    env.call("step", env.single_action_space.n - 2)
    *_, infos = env.step(np.full(N, env.single_action_space.n - 2))
    assert infos["waits"].tolist() == [2] * N


def test_vector_wrappers_count_the_same_returns(brief):
    env = RecordEpisodeStatistics(make(brief, autoreset_mode="SameStep"))
    env.reset(seed=0)
    rng, total, ended = np.random.default_rng(0), np.zeros(N), np.zeros(N, bool)
    while not ended.any():
        _, rewards, terminated, truncated, infos = env.step(choose(rng, env.unwrapped.action_masks()))
        total += rewards
        ended = terminated | truncated
    np.testing.assert_allclose(infos["episode"]["r"][ended], total[ended])


def test_infos_are_numeric_arrays_of_one_row_an_environment(brief):
    env = make(brief)
    _, infos = env.reset(seed=0)
    *_, later = env.step(np.argmax(env.action_masks(), axis=1))
    assert infos.keys() == later.keys()
    for values in (*infos.values(), *later.values()):
        assert values.dtype.kind in "bif"
        assert len(values) == N


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**31 - 1), n=st.integers(1, 4), mode=st.sampled_from(AutoresetMode))
def test_invariants(brief, seed, n, mode):
    env, rng = make(brief, n, autoreset_mode=mode), np.random.default_rng(seed)
    obs, infos = env.reset(seed=seed)
    for _ in range(6):
        assert env.observation_space.contains(obs)
        np.testing.assert_array_equal(infos["action_mask"], env.action_masks())
        obs, rewards, terminated, truncated, infos = env.step(choose(rng, env.action_masks()))
        assert rewards.shape == terminated.shape == truncated.shape == (n,)
        assert not (terminated & truncated).any()
        ended = terminated | truncated
        if mode is AutoresetMode.SAME_STEP and ended.any():
            assert [o is not None for o in infos["final_obs"]] == ended.tolist()
        if mode is AutoresetMode.DISABLED and ended.any():
            fresh, _ = env.reset(options={"reset_mask": ended})
            obs, infos = fresh, {"action_mask": env.action_masks()}


def test_a_target_that_is_met_untrained_ends_the_episode_after_its_first_step(brief):
    process = brief.process.model_copy(update={"target": 0.001})
    env = make(brief.model_copy(update={"process": process}))
    env.reset(seed=0)
    _, _, terminated, _, infos = env.step(np.full(N, env.single_action_space.n - 2))
    assert terminated.all()
    assert infos["ended_target"].all()


def test_some_finish_and_the_others_go_on(brief):
    env = make(brief)
    env.reset(seed=0)
    finish = env.single_action_space.n - 1
    _, rewards, terminated, truncated, infos = env.step(np.array([finish, finish - 1, finish]))
    assert (terminated.tolist(), truncated.any()) == ([True, False, True], False)
    assert infos["ended_finish"].tolist() == [1, 0, 1]
    assert (rewards == 0).tolist() == [True, False, True]
    assert env.step(np.full(N, finish))[4]["ended_finish"].tolist() == [0, 1, 0]
