"""Settings of the learning algorithms: all can be set, and what goes wrong together is refused."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakegym.agents.algorithms import ALGORITHMS, make_algorithm, settings_of
from snakegym.agents.hyperparameters import DEFAULTS, NAMES
from snakegym.envs.sb3 import SerpentineVecEnv
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.errors import SnakegymError

NO_SETTINGS = {
    # of the run, not of the algorithm
    *("env", "seed", "device", "verbose", "tensorboard_log", "policy_kwargs", "_init_setup_model"),
    # for continuous actions, or objects
    *("use_sde", "sde_sample_freq", "rollout_buffer_class", "rollout_buffer_kwargs"),
    *("replay_buffer_class", "replay_buffer_kwargs", "optimize_memory_usage"),
    # nobody tunes them; and what we call n_steps
    *("use_rms_prop", "rms_prop_eps", "tau", "exploration_initial_eps", "train_freq"),
}


OF_PPO = [name for name, settings in DEFAULTS.items() if "n_epochs" in settings]


@pytest.mark.parametrize("name", list(ALGORITHMS))
def test_every_argument_of_an_algorithm_can_be_set(name: str) -> None:
    assert set(inspect.signature(ALGORITHMS[name]).parameters) - NO_SETTINGS <= set(NAMES)


@pytest.mark.parametrize("name", list(ALGORITHMS))
def test_what_is_set_reaches_the_algorithm(name: str) -> None:
    own: dict[str, Any] = {
        "learning_rate": 0.25,
        "n_steps": 24,
        "batch_size": 12,
        "n_epochs": 3,
        "gamma": 0.75,
        "gae_lambda": 0.5,
        "ent_coef": 0.125,
        "vf_coef": 0.625,
        "clip_range": 0.375,
        "clip_range_vf": 0.875,
        "normalize_advantage": False,
        "max_grad_norm": 2.0,
        "target_kl": 4.0,
        "buffer_size": 11,
        "learning_starts": 5,
        "gradient_steps": 4,
        "target_update_interval": 9,
        "exploration_fraction": 0.0625,
        "exploration_final_eps": 0.03125,
        "stats_window_size": 7,
    }
    own = {setting: value for setting, value in own.items() if setting in DEFAULTS[name]}
    model: Any = make_algorithm(name, SerpentineVecEnv(2), 0, own | {"learning_rate_schedule": "constant"})
    if name == "dqn":
        model.n_steps = model.train_freq.frequency
    found = {setting: getattr(model, f"_{setting}", getattr(model, setting, None)) for setting in own}
    found |= {limit: found[limit](1.0) for limit in ("clip_range", "clip_range_vf") if limit in found}
    assert found == own | {"n_steps": 12}


@pytest.mark.parametrize("name", OF_PPO)
def test_zero_stands_for_no_limit(name: str) -> None:
    model: Any = make_algorithm(name, SerpentineEnv("default"), 0, {"target_kl": 0.0, "clip_range_vf": 0})
    assert (model.target_kl, model.clip_range_vf) == (None, None)


@pytest.mark.parametrize(
    ("settings", "layer", "width"),
    [
        ({"width": 24}, "features_extractor.node.0.weight", 24),
        ({"policy": "mlp", "net_arch": (5, 9)}, "mlp_extractor.policy_net.2.weight", 9),
    ],
)
def test_networks_are_as_wide_as_asked_for(settings: dict[str, Any], layer: str, width: int) -> None:
    env = SerpentineEnv("default")
    model = make_algorithm("maskable-ppo", env, 0, settings | {"n_steps": 8, "batch_size": 8}).learn(8)
    assert len(model.policy.state_dict()[layer]) == width
    assert env.action_space.contains(int(model.predict(env.reset(seed=0)[0])[0]))


@settings(deadline=None)
@given(n_envs=st.integers(1, 70), n_steps=st.integers(1, 600) | st.none(), batch_size=st.integers(1, 600))
def test_no_accepted_minibatch_has_one_step(n_envs: int, n_steps: int | None, batch_size: int) -> None:
    asked = {"batch_size": batch_size} | ({} if n_steps is None else {"n_steps": n_steps})
    total = n_steps or max(8, 512 // n_envs) * n_envs
    sizes = {min(batch_size, total - start) for start in range(0, total, batch_size)}
    try:
        used = settings_of("maskable-ppo", n_envs, asked)
    except SnakegymError as error:
        assert 1 in sizes or total % n_envs, error  # noqa: PT017 - most are accepted
    else:
        assert 1 not in sizes
        assert (used["n_steps"], used["batch_size"]) == (total, min(batch_size, total))


@pytest.mark.parametrize("settings", [{"n_steps": 65, "batch_size": 64}, {"batch_size": 1}, {"n_steps": 1}])
@pytest.mark.parametrize("name", OF_PPO)
def test_a_minibatch_of_one_step_is_refused_by_name(name: str, settings: dict[str, Any]) -> None:
    env = SerpentineEnv("default")
    with pytest.raises(SnakegymError, match=rf"hyperparameters of {name}: batch_size: found \d+, .*n_steps"):
        make_algorithm(name, env, 0, settings)
    make_algorithm(name, env, 0, settings | {"normalize_advantage": False})


FLOATS = [n for n in NAMES if isinstance(DEFAULTS["ppo"].get(n), float)]


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan"), -1.0, 1e308])
@pytest.mark.parametrize("setting", FLOATS)
def test_numbers_beyond_bounds_are_refused_by_name(setting: str, value: float) -> None:
    with pytest.raises(SnakegymError, match=re.escape(f"{setting}: found {value}, expected")):
        settings_of("ppo", 1, {setting: value})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate: found 0.0"),
        ({"clip_range": 0.0}, "clip_range: found 0.0"),
        ({"n_steps": 10**9}, "n_steps: found 1000000000"),
        ({"n_epochs": True}, "n_epochs: found True"),
        ({"net_arch": [64]}, "net_arch: of no use to the policy 'pairwise', which takes width"),
        ({"policy": "mlp", "width": 64}, "width: of no use to the policy 'mlp', which takes net_arch"),
    ],
)
def test_settings_without_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SnakegymError, match=message):
        settings_of("maskable-ppo", 1, settings)


@pytest.mark.parametrize("spec", ["stable_baselines3:A2C", "sb3_contrib:TRPO"])
def test_others_algorithms_take_the_settings_that_they_have(spec: str) -> None:
    used = settings_of(spec, 2, {"n_steps": 16, "gamma": 0.5})
    assert used["n_steps"] == 16
    assert used["gamma"] == 0.5
    assert "clip_range" not in used
    model: Any = make_algorithm(spec, SerpentineVecEnv(2), 0, used)
    assert (model.n_steps, model.gamma) == (8, 0.5)
    with pytest.raises(SnakegymError, match="clip_range: of no use to the algorithm, which takes"):
        settings_of(spec, 2, {"clip_range": 0.2})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("stable_baselines3:DQN", "found DQN, expected one with actor-critic policies"),
        ("stable_baselines3.common.utils:get_device", "expected an algorithm of Stable-Baselines3"),
    ],
)
def test_what_cannot_be_trained_here_is_said(spec: str, message: str) -> None:
    with pytest.raises(SnakegymError, match=message):
        make_algorithm(spec, SerpentineEnv("default"), 0)
