"""Episodes of several scenarios in one environment: padded, masked, drawn from the seed."""

from __future__ import annotations

import copy
import json

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from sb3_contrib.common.maskable.utils import get_action_masks

import snakegym
from snakegym.agents.policy import MaskablePairwisePolicy
from snakegym.control.records import Assignment
from snakegym.envs.encoder import ViewEncoder
from snakegym.envs.sb3 import SerpentineVecEnv
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.errors import SnakegymError
from snakegym.scenario import Scenario


def scenario(name: str, nodes: int, middle: int, **process) -> Scenario:
    data = snakegym.load_scenario("default").model_dump()
    data["name"] = name
    data["model"] = {"name": "mlp", "options": {"width": 16, "middle": middle}}
    data["network"]["nodes"] = nodes
    data["learning"] |= {"epochs": 1, "batch_size": 64}
    data["process"] |= process
    return Scenario.model_validate(data)


SMALL, WIDE, DEEP = scenario("small", 4, 3), scenario("wide", 6, 3), scenario("deep", 3, 5)
ALL = [SMALL, WIDE, DEEP]


def pairs_of(env: SerpentineEnv) -> np.ndarray:
    return env.action_masks()[: env.codec.wait].reshape(env.codec.n_nodes, env.codec.n_middle)


def test_spaces_are_those_of_the_most_nodes_and_layers():
    env = SerpentineEnv(ALL)
    assert env.observation_space == ViewEncoder(6, 5).space
    assert env.action_space.n == 6 * 5 + 2
    check_env(env, skip_render_check=True)


def test_every_scenario_comes_up_and_the_seed_says_which():
    env, again = SerpentineEnv(ALL), SerpentineEnv(ALL)
    names = []
    for seed in range(12):
        _, info = env.reset(seed=seed)
        names.append(env.scenario.name)
        assert ALL[info["scenario"]].name == env.scenario.name
        again.reset(seed=seed)
        assert again.scenario.name == env.scenario.name
    assert {*names} == {"small", "wide", "deep"}


def test_a_process_among_others_is_the_process_alone():
    env = SerpentineEnv(ALL, engine="sequential")
    for own in ALL:
        env.reset(seed=3, options={"scenario": own.name})
        alone = SerpentineEnv([own], engine="sequential")
        alone.np_random = copy.deepcopy(env.np_random)  # the same draws from here on
        env.reset(options={"scenario": own.name})
        alone.reset()
        for _ in range(3):
            shape = env.view().legal.shape
            np.testing.assert_array_equal(pairs_of(env)[: shape[0], : shape[1]], pairs_of(alone))
            assert pairs_of(env).sum() == pairs_of(alone).sum()
            choice = Assignment(*map(int, np.argwhere(alone.view().legal)[-1]))
            there, here = env.step(env.codec.encode(choice)), alone.step(alone.codec.encode(choice))
            assert there[1:4] == here[1:4]
            for key, rows in (("nodes", shape[:1]), ("layers", shape[1:]), ("pairs", shape)):
                padded = there[0][key].reshape(*_sizes(env, key), -1)
                seen = here[0][key].reshape(*rows, -1)
                np.testing.assert_array_equal(padded[tuple(map(slice, rows))], seen)
                assert np.abs(padded).sum() == pytest.approx(np.abs(seen).sum(), rel=1e-5), "zeros elsewhere"
            np.testing.assert_array_equal(there[0]["process"], here[0]["process"])


def _sizes(env: SerpentineEnv, key: str) -> tuple[int, ...]:
    return {
        "nodes": (env.codec.n_nodes,),
        "layers": (env.codec.n_middle,),
        "pairs": (env.codec.n_nodes, env.codec.n_middle),
    }[key]


def test_actions_for_nodes_that_are_not_there_are_penalised_waits():
    env = SerpentineEnv(ALL)
    env.reset(seed=0, options={"scenario": "small"})
    for assignment in (Assignment(5, 0), Assignment(0, 4)):
        *_, info = env.step(env.codec.encode(assignment))
        assert info["reward_illegal"] < 0
    assert info["illegal"] == info["waits"] == 2


def test_the_policy_does_not_see_the_padding():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        policies = {}
        for n, m in ((6, 5), (4, 3)):
            space, actions = ViewEncoder(n, m).space, gym.spaces.Discrete(n * m + 2)
            policies[n] = MaskablePairwisePolicy(space, actions, lambda _: 1e-3)
    policies[4].load_state_dict(policies[6].state_dict())
    env = SerpentineEnv(ALL)
    env.reset(seed=0, options={"scenario": "small"})
    env.step(env.codec.encode(Assignment(*map(int, np.argwhere(env.view().legal)[0]))))
    values, chances = {}, {}
    for n, m in ((6, 5), (4, 3)):
        seen = {k: torch.from_numpy(v)[None] for k, v in ViewEncoder(n, m).encode(env.view()).items()}
        values[n] = policies[n].predict_values(seen)
        mask = np.zeros((n, m), bool)
        mask[:4, :3] = env.view().legal
        masks = np.append(mask.ravel(), [True, True])
        probabilities = policies[n].get_distribution(seen, action_masks=masks).distribution.probs[0]
        chances[n] = torch.cat([probabilities[:-2].reshape(n, m)[:4, :3].flatten(), probabilities[-2:]])
    torch.testing.assert_close(values[6], values[4])
    torch.testing.assert_close(chances[6], chances[4])


def test_scenarios_of_several_are_trained_together():
    env = SerpentineVecEnv(6, scenario=ALL)
    env.seed(1)
    env.reset()
    assert len({member.scenario.name for member in env.members}) > 1
    small, wide, deep = (problem.service.engine for problem in env.members[0].problems)
    assert small is wide is not deep, "who has the same model is trained together"
    rng = np.random.default_rng(0)
    for _ in range(4):
        masks = get_action_masks(env)
        _, rewards, *_ = env.step(np.array([rng.choice(np.flatnonzero(m[:-2])) for m in masks]))
        assert np.isfinite(rewards).all()
    assert all(member.controller.history for member in env.members)


def test_orders_that_differ_leave_the_pairs_to_choose_from():
    fixed = scenario("fixed", 4, 3, layer_order="serpentine")
    assert SerpentineEnv([fixed]).action_space.n == 4 + 2
    env = SerpentineEnv([fixed, SMALL])
    assert env.action_space.n == 4 * 3 + 2
    env.reset(seed=0, options={"scenario": "fixed"})
    assert (pairs_of(env).sum(axis=0) > 0).tolist() == [True, False, False]


def test_a_copy_goes_on_with_the_scenario_of_its_process():
    env = SerpentineEnv(ALL)
    env.reset(seed=0, options={"scenario": "deep"})
    twin = copy.deepcopy(env)
    assert twin.scenario.name == "deep"
    np.testing.assert_equal(twin.step(0), env.step(0))


def test_names_parted_by_commas_lists_and_all():
    assert [p.scenario.name for p in SerpentineEnv("default, crowd").problems] == ["default", "crowd"]
    listed = [problem.scenario.name for problem in SerpentineEnv("all").problems]
    assert {"default", "crowd", "large"} <= {*listed}
    assert all(name in snakegym.list_scenarios() for name in listed)
    env = gym.make("snakegym/Serpentine-v1", scenario=["default", SMALL])
    assert env.action_space == SerpentineEnv(["default", SMALL]).action_space
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert again.observation_space == env.observation_space


def test_a_path_with_a_comma_in_it_is_one_file(tmp_path):
    path = tmp_path / "a, b.json"
    path.write_text(json.dumps(SMALL.model_dump(mode="json")))
    assert [p.scenario.name for p in SerpentineEnv(str(path)).problems] == ["small"]


@pytest.mark.parametrize(
    ("scenarios", "message"),
    [
        ([], "scenario: found none, expected 1 to"),
        ("default,default", "scenario: found default, default, expected .* a name of its own"),
        ("default,nobody", "unknown scenario 'nobody'"),
        (7, "scenario: found 7"),
        ([SMALL, 7], "scenario: found 7"),
    ],
)
def test_what_is_no_list_of_scenarios_is_refused(scenarios, message):
    with pytest.raises(SnakegymError, match=message):
        SerpentineEnv(scenarios)


def test_an_option_names_one_of_them():
    with pytest.raises(SnakegymError, match="found 'other', expected one of small, wide, deep"):
        SerpentineEnv(ALL).reset(options={"scenario": "other"})


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"device": "abacus"}, "device: found 'abacus', expected one that PyTorch can use here"),
        ({"device": "meta"}, "device: found 'meta'"),
        ({"device": 0}, "device: found 0"),
    ],
)
def test_devices_that_cannot_compute_are_refused(kwargs, message):
    with pytest.raises(SnakegymError, match=message):
        SerpentineEnv(SMALL, **kwargs)


def test_the_device_of_the_engine_is_the_one_asked_for():
    assert SerpentineEnv(SMALL, device="cpu").service.engine.device == torch.device("cpu")
    env = gym.make("snakegym/Serpentine-v1", scenario=SMALL, device="cpu:0")
    assert env.unwrapped.service.engine.device == torch.device("cpu:0")
    json.loads(env.spec.to_json())
