"""The environment as gymnasium, Stable-Baselines3 and their users see it."""

from __future__ import annotations

import copy
import dataclasses
import multiprocessing
import pickle
import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stable_baselines3.common.env_checker import check_env as sb3_check_env

import snakegym
from snakegym.envs.info import ENDINGS
from snakegym.envs.render import amount
from snakegym.envs.reward import TERMS
from snakegym.errors import SnakegymError

IDS = [
    spec.id
    for spec in gym.registry.values()
    if spec.namespace == "snakegym" and "observation" not in spec.kwargs  # the other forms: test_forms
]


def make(**kwargs):
    return gym.make("snakegym/Serpentine-v1", **kwargs).unwrapped


def rollout(env, seed: int, steps: int):
    """Observations, rewards and infos of random legal actions but `finish`."""
    obs, info = env.reset(seed=seed)
    env.action_space.seed(seed)
    trail = [(obs, 0.0, info)]
    for _ in range(steps):
        mask = np.append(info["action_mask"][: env.codec.finish], np.int8(0))
        obs, reward, terminated, truncated, info = env.step(env.action_space.sample(mask))
        trail.append((obs, reward, info))
        if terminated or truncated:
            break
    return trail


def flat(trail) -> np.ndarray:
    return np.concatenate([np.concatenate([*(o[k].ravel() for k in sorted(o)), [r]]) for o, r, _ in trail])


def ended_by(info) -> list[str]:
    return [ending for ending in ENDINGS if info[f"ended_{ending}"]]


def rollout_elsewhere(seed: int) -> np.ndarray:
    torch.set_num_threads(1)
    env = gym.make("snakegym:snakegym/Serpentine-v1").unwrapped
    return flat(rollout(env, seed, 6))


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("kwargs", [{}, {"layer_order": "serpentine"}, {"split": "test"}])
def test_passes_both_checkers_without_a_warning(env_id, kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make(env_id, **kwargs).unwrapped)
        sb3_check_env(gym.make(env_id, **kwargs).unwrapped, skip_render_check=False)


@pytest.mark.parametrize("mode", ["ansi", "rgb_array"])
def test_renders(mode):
    env = gym.make("snakegym/Serpentine-v1", render_mode=mode)
    env.reset(seed=0)
    env.step(0)
    frame = env.render()
    if mode == "ansi":
        assert "validation accuracy" in frame
        assert frame.count("\n") == 3 + 9
        assert "(1.39 kB)" in frame
        assert "(63.1 kB)" in frame
    else:
        assert frame.dtype == np.uint8
        assert frame.shape == (480, 840, 3)
        assert frame.std() > 10


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (0.5, "0.5 B"), (999, "999 B"), (999.6, "1 kB"), (63_140, "63.1 kB"), (8e6, "8 MB")],
)
def test_amounts_have_three_digits_and_a_prefix(value, text):
    assert amount(value, "B") == text


def test_same_seed_gives_the_same_numbers_and_another_seed_others():
    a, b, c = (flat(rollout(make(), seed, 6)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_same_numbers_in_another_process(method):
    with multiprocessing.get_context(method).Pool(1) as pool:
        elsewhere = pool.apply(rollout_elsewhere, (3,))
    np.testing.assert_array_equal(flat(rollout(make(), 3, 6)), elsewhere)


def test_global_random_generators_stay_untouched():
    torch.manual_seed(7)
    np.random.seed(7)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    rollout(make(), 0, 4)
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


def test_a_deep_copy_lives_on_its_own():
    env = make()
    rollout(env, 0, 4)
    twin = copy.deepcopy(env)
    legal = np.flatnonzero(env.action_masks())
    spent, metric, state = env.controller.spent, env.controller.metric, env.controller.state
    other = [twin.step(int(a))[1] for a in legal[:1]]
    twin.step(twin.codec.wait)
    assert (env.controller.spent, env.controller.metric) == (spent, metric)
    assert env.controller.state is state
    assert twin.controller.history is not env.controller.history
    assert [env.step(int(a))[1] for a in legal[:1]] == other, "the copy goes on as the original does"


def test_infos_are_flat_numbers_under_the_same_keys_from_the_reset_on():
    infos = [info for *_, info in rollout(make(scenario="flaky"), 0, 10_000)]
    kinds = {key: type(value) for key, value in infos[0].items()}
    assert kinds.pop("action_mask") is np.ndarray
    assert set(kinds.values()) == {int, float}
    for info in infos:
        assert {key: type(value) for key, value in info.items() if key != "action_mask"} == kinds
        assert all(np.isfinite(info[key]) for key in kinds)


def test_the_info_says_why_nodes_left():
    scenario = snakegym.load_scenario("default")
    pool = scenario.pool.model_copy(update={"max_epochs": scenario.learning.epochs})
    env = make(scenario=scenario.model_copy(update={"pool": pool}))
    info = rollout(env, 0, 3)[-1][2]
    assert info["left_epochs"] == sum(env.controller.pool.counts().values()) > 0
    assert info["members"] == 9 - info["left_epochs"]


def test_waiting_costs_time_alone():
    env = make()
    env.reset(seed=0)
    *_, info = env.step(env.codec.wait)
    assert (info["time_s"], info["energy_j"], info["n_bytes"]) == (env.scenario.process.wait_s, 0.0, 0.0)
    assert info["waits"] == 1
    assert info["hops"] == 0


def test_an_illegal_action_is_a_penalised_wait():
    env = make()
    env.reset(seed=0)
    while env.view().legal.all() or not env.view().legal.any():
        env.step(int(np.argmax(env.action_masks())))
    illegal = int(np.argmin(env.action_masks()))
    hops, metric = len(env.controller.history), env.controller.metric
    *_, info = env.step(illegal)
    assert info["illegal"] == 1
    assert info["reward_illegal"] == -env.scenario.objective.illegal
    assert (info["hops"], info["metric"]) == (hops, metric)


def test_what_is_no_action_is_refused():
    env = make()
    env.reset(seed=0)
    for nonsense in (-1, env.codec.n_actions, 0.5, "0"):
        with pytest.raises(SnakegymError, match="action"):
            env.step(nonsense)


def test_an_episode_ends_at_its_budget_and_not_before():
    env = make()
    trail = rollout(env, 0, 10_000)
    assert ended_by(trail[-1][2]) == ["time"]
    assert ended_by(trail[-2][2]) == []
    budget = env.scenario.process.budget.time_s
    assert trail[-2][2]["time_s"] < budget == trail[-1][2]["time_s"]
    with pytest.raises(ResetNeeded):
        env.step(0)


@pytest.mark.parametrize("kwargs", [{}, {"layer_order": "serpentine"}])
@pytest.mark.parametrize("hops", [0, 2])
def test_finishing_ends_the_episode_and_costs_nothing(kwargs, hops):
    env = make(**kwargs)
    before = rollout(env, 0, hops)[-1][2]
    assert env.codec.finish == env.action_space.n - 1
    assert env.action_masks()[env.codec.finish]
    assert env.codec.decode(env.codec.finish, env.view()) is snakegym.FINISH
    _, reward, terminated, truncated, info = env.step(env.codec.encode(snakegym.FINISH))
    assert (reward, terminated, truncated) == (0, True, False)
    assert ended_by(info) == ["finish"]
    for key in ("metric", "time_s", "energy_j", "n_bytes", "hops", "waits", "illegal"):
        assert info[key] == before[key]
    with pytest.raises(ResetNeeded, match="finish"):
        env.step(0)
    assert ended_by(env.reset(seed=0)[1]) == []


def test_the_sentinel_stays_itself():
    assert copy.deepcopy(snakegym.FINISH) is pickle.loads(pickle.dumps(snakegym.FINISH)) is snakegym.FINISH
    assert repr(snakegym.FINISH) == "FINISH"


@pytest.mark.parametrize("budget", [{"hops": 2}, {"energy_j": 1e-9}, {"decisions": 3}, {"time_s": 7.0}])
def test_every_budget_terminates(budget):
    scenario = snakegym.load_scenario("default")
    own = scenario.process.budget.model_copy(update=budget)
    env = make(
        scenario=scenario.model_copy(update={"process": scenario.process.model_copy(update={"budget": own})})
    )
    _, info = env.reset(seed=0)
    terminated = False
    while not terminated:
        _, _, terminated, truncated, info = env.step(int(np.argmax(info["action_mask"])))
        assert not truncated
    assert ended_by(info) == [next(iter(budget)).partition("_")[0]]


def test_a_limit_of_steps_truncates():
    env = gym.make("snakegym/Serpentine-v1", max_episode_steps=1)
    env.reset(seed=0)
    _, _, terminated, truncated, info = env.step(env.unwrapped.codec.wait)
    assert (terminated, truncated, ended_by(info)) == (False, True, [])


def test_the_first_version_is_gone():
    with (
        pytest.warns(DeprecationWarning, match="upgrading to version `v1`"),
        pytest.raises(gym.error.DeprecatedEnv, match="v1"),
    ):
        gym.make("snakegym/Serpentine-v0")


def test_a_reached_target_terminates():
    scenario = snakegym.load_scenario("default")
    process = scenario.process.model_copy(update={"target": 0.3})
    env = make(scenario=scenario.model_copy(update={"process": process}))
    _, info = env.reset(seed=0)
    terminated = truncated = False
    while not (terminated or truncated):
        _, _, terminated, truncated, info = env.step(int(np.argmax(info["action_mask"])))
    assert terminated
    assert not truncated
    assert ended_by(info) == ["target"]
    assert info["metric"] >= 0.3


def test_fixed_layer_order_leaves_the_choice_of_the_node():
    env = make(layer_order="reverse")
    _, info = env.reset(seed=0)
    assert env.action_space.n == 11
    while len(env.controller.history) < 9:
        _, _, terminated, _, info = env.step(int(np.argmax(info["action_mask"])))
        assert not terminated
    delivered = [h.assignment.layer for h in env.controller.history if h.delivered]
    assert delivered[:7] == [6, 5, 4, 3, 2, 1, 0][: len(delivered)]


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), seed=st.integers(0, 2**31 - 1))
def test_invariants_under_random_legal_and_illegal_actions(data, seed):
    env = make()
    obs, info = env.reset(seed=seed)
    frozen = env.controller.state
    total, start = 0.0, info["metric"]
    illegal = 0
    for _ in range(12):
        assert env.observation_space.contains(obs)
        assert all(np.isfinite(v).all() for v in obs.values())
        mask = env.action_masks()
        assert mask[-2:].all(), "waiting and finishing are always legal"
        action = data.draw(st.integers(0, env.codec.n_actions - 1))
        view, hops = env.view(), len(env.controller.history)
        obs, reward, terminated, truncated, info = env.step(action)
        assert reward == pytest.approx(sum(info[f"reward_{term}"] for term in TERMS))
        illegal += not mask[action]
        assert info["illegal"] == illegal
        if len(env.controller.history) > hops:
            hop = env.controller.history[-1]
            changed = {0, hop.assignment.layer + 1, len(frozen) - 1} if hop.delivered else set()
            for k, (old, new) in enumerate(zip(frozen.layers, env.controller.state.layers, strict=True)):
                assert (old is not new) == (k in changed)
                assert all(torch.equal(old[n], new[n]) for n in old) == (k not in changed)
            frozen = env.controller.state
            assert view.legal[hop.assignment.node, hop.assignment.layer]
        total += reward
        if truncated or terminated:
            break
    hops = env.controller.history
    spent = env.controller.spent
    wait = env.controller.waits * env.scenario.process.wait_s
    budget = env.scenario.process.budget
    assert spent.time_s == pytest.approx(min(sum(h.costs.time_s for h in hops) + wait, budget.time_s))
    assert all(h.start_s + h.costs.time_s <= budget.time_s * (1 + 1e-12) for h in hops)
    assert spent.energy_j == pytest.approx(sum(h.costs.energy_j for h in hops))
    assert spent.n_bytes == pytest.approx(sum(h.costs.n_bytes for h in hops))
    o, (pt, pe, pb) = env.scenario.objective, env.scenario.objective.prices()
    expected = (
        o.gain * (info["metric"] - start) - pt * spent.time_s - pe * spent.energy_j - pb * spent.n_bytes
    )
    assert total == pytest.approx(expected - o.illegal * illegal)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"scenario": "nowhere"}, "unknown scenario 'nowhere': expected one of .*default"),
        ({"split": "holdout"}, "split: found 'holdout', expected train, validation or test"),
        ({"traces": "/tmp/no-such-traces"}, "no-such-traces"),
        ({"layer_order": "zigzag"}, "layer_order: found 'zigzag'"),
        ({"scenario": "no/such/file.yaml"}, "no/such/file.yaml"),
    ],
)
def test_bad_arguments_are_named(kwargs, message):
    with pytest.raises(SnakegymError, match=message):
        make(**kwargs)


def test_a_step_by_a_decision_is_that_of_its_action_and_may_name_companions():
    data = snakegym.load_scenario("default").model_dump()
    data["network"]["mode"], data["process"]["parallel"] = "cs", 3
    one, other = make(scenario=data), make(scenario=data)
    for env in (one, other):
        env.reset(seed=0)
    assignment = snakegym.Assignment(*map(int, np.argwhere(one.view().legal)[0]))
    for decision in (assignment, assignment, None, snakegym.FINISH):  # the second is illegal
        by_action, by_decision = one.step(one.codec.encode(decision)), other.step_as(decision)
        np.testing.assert_equal(by_decision, by_action)
    with pytest.raises(ResetNeeded):
        other.step_as(None)
    other.reset(seed=0)
    last = int(np.flatnonzero(other.view().legal[:, assignment.layer])[-1])
    other.step_as(dataclasses.replace(assignment, companions=(last,)))
    assert [part.node for part in other.controller.history[0].parts] == [assignment.node, last]
    with pytest.raises(SnakegymError, match="found 3, expected None"):
        other.step_as(3)
