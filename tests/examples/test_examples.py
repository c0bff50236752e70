"""The examples, run as they stand but shorter, and the page about them."""

from __future__ import annotations

import importlib.util
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import gymnasium as gym
import numpy as np
import pytest
import yaml
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

import snakegym  # noqa: F401  (registers the environments)

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PAGE = ROOT / "docs" / "other-libraries.md"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_gymnasium_vector():
    assert math.isfinite(example("gymnasium_vector").main(steps=40, num_envs=3))


def test_sb3_masked_ppo(tmp_path):
    # 16 environments x 128 steps are the first evaluation.
    mean = example("sb3_masked_ppo").main(timesteps=2048, out=tmp_path)
    assert mean > 3, "a policy that keeps to the masks gets at least that"
    assert (tmp_path / "best_model.zip").exists()


def test_sb3_flat_dqn():
    assert math.isfinite(example("sb3_flat_dqn").main(timesteps=800))


def zoo_settings() -> dict:
    return yaml.safe_load((EXAMPLES / "rl_zoo3.yml").read_text())


@pytest.mark.parametrize("env_id", zoo_settings())
def test_the_zoo_s_settings_make_an_algorithm_that_learns(env_id):
    settings = zoo_settings()[env_id]
    env = make_vec_env(f"snakegym:{env_id}", n_envs=settings.pop("n_envs"), seed=0)
    policy, _ = settings.pop("policy"), settings.pop("n_timesteps")
    model = PPO(policy, env, device="cpu", **(settings | {"n_steps": 16, "n_epochs": 1}))
    model.learn(64)
    assert model.num_timesteps == 64


def test_rl_zoo3(tmp_path):
    pytest.importorskip("rl_zoo3")
    command = (
        f"--algo ppo --env snakegym/SerpentineFlat-v1 --gym-packages snakegym -n 512 --eval-freq 512 "
        f"--eval-episodes 1 --eval-env-kwargs split:'validation' --conf-file {EXAMPLES / 'rl_zoo3.yml'}"
    )
    subprocess.run(
        [sys.executable, "-m", "rl_zoo3.train", *command.split(), "--log-folder", str(tmp_path)],
        check=True,
        cwd=tmp_path,
    )
    assert list(tmp_path.rglob("best_model.zip"))


def test_rllib_masked_ppo():
    pytest.importorskip("ray.rllib")
    assert math.isfinite(example("rllib_masked_ppo").main(iterations=1, steps=128))


def test_torchrl_masked_ppo():
    pytest.importorskip("torchrl")
    assert math.isfinite(example("torchrl_masked_ppo").main(iterations=1, steps=128))


def test_tianshou_masked_dqn():
    pytest.importorskip("tianshou")
    assert math.isfinite(example("tianshou_masked_dqn").main(epochs=1, steps=64))


def test_cleanrl_ppo_unmodified(tmp_path):
    script = os.environ.get("CLEANRL_PPO")
    if script is None:
        pytest.skip("CleanRL: set CLEANRL_PPO to its ppo.py")
    pytest.importorskip("tensorboard")
    arguments = (
        "--env-id snakegym:snakegym/SerpentineFlat-v1 --total-timesteps 128 --num-envs 2 --num-steps 32"
    )
    subprocess.run([sys.executable, Path(script).resolve(), *arguments.split()], check=True, cwd=tmp_path)


def test_what_cleanrl_s_scripts_ask_of_an_environment():
    def make() -> gym.Env:
        return gym.wrappers.RecordEpisodeStatistics(gym.make("snakegym:snakegym/SerpentineFlat-v1"))

    env = gym.vector.SyncVectorEnv([make] * 2)
    assert isinstance(env.single_action_space, gym.spaces.Discrete)
    observations, _ = env.reset(seed=1)
    assert observations.shape == (2, *env.single_observation_space.shape)
    assert observations.dtype == np.float32
    returns = []
    while not returns:
        _, _, terminations, truncations, infos = env.step(env.action_space.sample())
        returns += list(infos["episode"]["r"][terminations | truncations]) if "episode" in infos else []
    assert np.isfinite(returns).all()


def test_the_page_names_every_example_and_only_what_is_there():
    page = PAGE.read_text()
    linked = set(re.findall(r"\.\./examples/([\w.]+)", page))
    assert linked == {f.name for f in EXAMPLES.iterdir() if f.is_file()}


def test_ids_in_page_and_examples_are_registered():
    texts = [PAGE.read_text(), *(f.read_text() for f in EXAMPLES.iterdir() if f.is_file())]
    ids = {i for text in texts for i in re.findall(r"Serpentine\w*-v\d+", text)}
    assert len(ids) >= 5
    assert {f"snakegym/{i}" for i in ids} <= set(gym.registry)
