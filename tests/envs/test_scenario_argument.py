"""A scenario of one's own goes into `gym.make` as an object or as plain data, and comes out of its spec."""

import gymnasium as gym
import pytest
from gymnasium.envs.registration import EnvSpec

import snakegym
from snakegym.errors import SnakegymError

SCENARIO = snakegym.load_scenario("default").model_copy(update={"name": "mine"})


@pytest.mark.parametrize("given", [SCENARIO, SCENARIO.model_dump(mode="json")], ids=["object", "data"])
def test_the_spec_makes_the_same_environment_again(given):
    env = gym.make("snakegym/Serpentine-v1", scenario=given)
    for again in (gym.make(env.spec), gym.make(EnvSpec.from_json(env.spec.to_json()))):
        assert again.unwrapped.scenario == env.unwrapped.scenario == SCENARIO


@pytest.mark.parametrize("given", [3, None, [3], {"name": 3}, {}])
def test_anything_else_is_refused_in_one_line(given):
    with pytest.raises(SnakegymError, match=r"^scenario: ") as error:
        gym.make("snakegym/Serpentine-v1", scenario=given)
    assert "\n" not in str(error.value)
