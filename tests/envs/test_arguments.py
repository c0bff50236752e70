"""Wrong arguments of all forms of the environment: one line that names argument, found and expected."""

from __future__ import annotations

import json
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode

import snakegym
from snakegym.envs.sb3 import SerpentineVecEnv
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.errors import SnakegymError

ID = "snakegym/Serpentine-v1"
MAKERS = {
    "single": SerpentineEnv,
    "vector": lambda **kwargs: gym.make_vec(ID, num_envs=2, **kwargs),
    "sb3": lambda **kwargs: SerpentineVecEnv(2, **kwargs),
}
WRONG = [
    ({"split": 3}, r"split: found 3 \(int\), expected train, validation or test"),
    ({"split": None}, "split: found None, expected train, validation or test"),
    ({"split": ["train"]}, r"split: found \['train'\] \(list\), expected train, validation or test"),
    ({"traces": 7}, r"traces: found 7 \(int\), expected the path of a folder or None"),
    ({"traces": b"x"}, r"traces: found b'x' \(bytes\), expected the path"),
    ({"layer_order": 1}, r"layer_order: found 1 \(int\), expected free, .* or None"),
    ({"render_mode": "human"}, "render_mode: found 'human', expected ansi, rgb_array or None"),
    ({"render_mode": 1}, r"render_mode: found 1 \(int\), expected ansi, rgb_array or None"),
    ({"engine": None}, "engine: found None, expected sequential or stacked"),
    ({"engine": {}}, r"engine: found {} \(dict\), expected"),
    ({"observation": "image"}, "observation: found 'image', expected dict, flat or masked"),
    ({"observation": ()}, r"observation: found \(\) \(tuple\), expected dict, flat or masked"),
    ({"mask_key": 3}, r"mask_key: found 3 \(int\), expected a text that is not empty"),
    ({"observation_key": ""}, "observation_key: found '', expected a text that is not empty"),
    ({"observation_key": "x", "mask_key": "x"}, "observation_key, mask_key: found 'x' for all, expected"),
    ({"scenario": 5}, "(unknown )?scenario"),
]


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize(("kwargs", "message"), WRONG, ids=[str(kwargs) for kwargs, _ in WRONG])
def test_wrong_arguments_are_named(maker, kwargs, message):
    with pytest.raises(SnakegymError, match=f"^{message}") as caught:
        MAKERS[maker](**kwargs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("count", [0, -1, 2.0, "2", None, True, [2]])
def test_numbers_of_environments_are_integers_of_one_or_more(count):
    for make in (lambda: gym.make_vec(ID, num_envs=count), lambda: SerpentineVecEnv(count)):
        with pytest.raises(SnakegymError, match=r"^num_envs: found .*, expected an integer of 1 or more"):
            make()


@pytest.mark.parametrize("steps", [0, -3, 2.5, "5", True])
def test_limits_of_steps_are_integers_of_one_or_more(brief, steps):
    for make in (MAKERS["vector"], MAKERS["sb3"]):
        with pytest.raises(SnakegymError, match=r"^max_episode_steps: found .*, expected an integer of 1"):
            make(scenario=brief, max_episode_steps=steps)


def test_paths_are_taken_as_objects(tmp_path):
    with pytest.raises(SnakegymError, match="no-such"):
        gym.make(ID, traces=tmp_path / "no-such")


@pytest.mark.parametrize("make", [gym.make, gym.make_vec])
def test_a_spec_in_json_makes_the_same_environment_again(brief, make):
    env = make(ID, scenario=brief, observation="flat", max_episode_steps=4)
    text = env.spec.to_json()
    assert json.loads(text)["kwargs"]["scenario"] == brief.model_dump(mode="json")
    again = make(EnvSpec.from_json(text))
    np.testing.assert_equal(again.reset(seed=2), env.reset(seed=2))
    assert again.spec.to_json() == text


def test_a_wrong_field_of_a_mapping_is_named(brief):
    fields = brief.model_dump(mode="json")
    fields["network"]["nodes"] = "many"
    with pytest.raises(SnakegymError, match=r"scenario: .*network\.nodes"):
        gym.make(ID, scenario=fields)


def test_paths_and_enums_stand_in_the_spec_as_text(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text((Path(snakegym.__file__).parent / "scenarios" / "default.yaml").read_text())
    env = gym.make_vec(ID, num_envs=2, scenario=path, autoreset_mode=AutoresetMode.DISABLED)
    kwargs = json.loads(env.spec.to_json())["kwargs"]
    assert (kwargs["scenario"], kwargs["autoreset_mode"]) == (str(path), "Disabled")
