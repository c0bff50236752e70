"""Hyperparameter files of RL Baselines3 Zoo mean here what they mean there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snakegym.training.cli import parse
from snakegym.training.learn.config import TrainConfig

Run = Callable[..., tuple[int, str, str]]
FILE = """
default:
  n_timesteps: 1e4
  n_envs: 4
  n_steps: 32
  policy: MultiInputPolicy
  learning_rate: lin_3e-4
  clip_range: 0.1
  normalize: true
  policy_kwargs: "dict(net_arch=[32, 16])"
  target_kl: null
tidal:
  n_timesteps: 2e4
  policy: pairwise
  policy_kwargs: {}
  normalize: "{'norm_obs': True, 'norm_reward': False}"
"""


def parsed(tmp_path: Path, text: str, *options: str, name: str = "ppo.yml") -> TrainConfig:
    (tmp_path / name).write_text(text)
    command = parse(["train", "--config", str(tmp_path / name), *options])
    assert isinstance(command, TrainConfig)
    return command


def test_the_default_entry(tmp_path: Path) -> None:
    config = parsed(tmp_path, FILE)
    assert (config.algo, config.timesteps, config.n_envs) == ("ppo", 10_000, 4)
    assert config.ppo.given() == {
        "n_steps": 128,
        "policy": "mlp",
        "learning_rate": 3e-4,
        "learning_rate_schedule": "linear",
        "clip_range": 0.1,
        "normalize_reward": True,
        "net_arch": (32, 16),
        "target_kl": 0,
    }


def test_the_entry_of_a_scenario_goes_before_and_the_command_line_before_that(tmp_path: Path) -> None:
    text = FILE.replace("  policy_kwargs: {}\n", "").replace(
        '  policy_kwargs: "dict(net_arch=[32, 16])"\n', ""
    )
    config = parsed(tmp_path, text, "--scenario", "tidal", "--n-envs=2", "--algo", "maskable-ppo")
    assert (config.algo, config.scenario, config.timesteps, config.n_envs) == (
        "maskable-ppo",
        "tidal",
        20_000,
        2,
    )
    given = config.ppo.given()
    assert (given["policy"], given["normalize_reward"]) == ("pairwise", False)


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ("{frame_stack: 4}", "frame_stack: unknown"),
        ("{policy: CnnPolicy}", "policy: found 'CnnPolicy'"),
        ("{learning_rate: lin_fast}", "learning_rate: found 'fast'"),
        ("{normalize: [1]}", "normalize: found [1]"),
        ('{policy_kwargs: "dict(net_arch=open(1))"}', "policy_kwargs: found"),
        ('{policy_kwargs: "dict(activation_fn=1)"}', "policy_kwargs: found"),
        ("{gamma: 7}", "--gamma: found 7"),
    ],
)
def test_what_cannot_be_honoured_is_refused(snakegym: Run, tmp_path: Path, entry: str, named: str) -> None:
    (tmp_path / "ppo.yml").write_text(f"default: {entry}\n")
    status, _, err = snakegym("train", "--config", "ppo.yml", "--out", "out")
    assert status == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert named in err
    assert not (tmp_path / "out").exists()


def test_a_file_without_the_scenario_is_refused(snakegym: Run, tmp_path: Path) -> None:
    (tmp_path / "ppo.yml").write_text("tidal: {gamma: 0.9}\n")
    status, _, err = snakegym("train", "--config", "ppo.yml")
    assert status == 2
    assert "found no entry 'default'" in err


def test_rewards_are_scaled_and_rates_fall_and_both_go_on(
    snakegym: Run, tiny: str, tmp_path: Path, short: dict[str, object]
) -> None:
    options: list[Any] = [part for option in short.items() for part in option]
    more = ("--normalize-reward=True", "--learning-rate-schedule=linear", "--scenario", tiny)
    status, _, err = snakegym("train", "--out", "run", *options, *more)
    assert status == 0, err
    rates = [row.split(",") for row in (tmp_path / "run" / "learner.csv").read_text().splitlines()]
    column = rates[0].index("train/learning_rate")
    assert float(rates[2][column]) == pytest.approx(0.0005), "half of the training is behind the first update"
    assert float(rates[3][column]) == 0
    from snakegym.training.learn.checkpoints import read_state

    before = read_state(tmp_path / "run" / "checkpoints" / "latest.zip").return_scale
    assert before[2] > 32
    status, _, err = snakegym("train", "--out", "run", *options[2:], *more, "--resume", "--timesteps", 64)
    assert status == 0, err
    after = read_state(tmp_path / "run" / "checkpoints" / "latest.zip").return_scale
    assert after[2] == pytest.approx(before[2] + 32)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["ppo"]["normalize_reward"] is True


def test_a_file_for_dqn_says_so_in_its_own_words(tmp_path: Path) -> None:
    text = """
default:
  n_envs: 4
  buffer_size: 1e5
  learning_starts: 500
  train_freq: 8
  gradient_steps: 16
  target_update_interval: 600
  exploration_fraction: 0.2
  exploration_final_eps: 0.07
"""
    config = parsed(tmp_path, text, name="dqn.yml")
    assert (config.algo, config.n_envs) == ("dqn", 4)
    assert config.ppo.given() == {
        "n_steps": 32,
        "buffer_size": 100_000,
        "learning_starts": 500,
        "gradient_steps": 16,
        "target_update_interval": 600,
        "exploration_fraction": 0.2,
        "exploration_final_eps": 0.07,
    }
