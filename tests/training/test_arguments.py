"""Options as `wandb agent` writes them mean what they say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakegym.training.arguments import as_we_write
from snakegym.training.cli import parse
from snakegym.training.evaluate.config import EvaluateConfig
from snakegym.training.learn.config import TrainConfig

Run = Callable[..., tuple[int, str, str]]


def parsed(*arguments: str) -> TrainConfig:
    command = parse(["train", *arguments])
    assert isinstance(command, TrainConfig)
    return command


def test_python_values_are_understood() -> None:
    config = parsed(
        "--resume=False",
        "--skip_bad_traces=True",
        "--learning_rate=1e-05",
        "--normalize_advantage=False",
        "--net_arch=[64, 32]",
        "--traces=None",
        "--timesteps=None",
        "--n_envs=4",
    )
    assert (config.resume, config.skip_bad_traces, config.traces) == (False, True, None)
    assert (config.timesteps, config.n_envs) == (TrainConfig().timesteps, 4)
    assert config.ppo.given() == {"learning_rate": 1e-05, "normalize_advantage": False, "net_arch": (64, 32)}


def test_none_switches_a_limit_off() -> None:
    assert parsed("--target_kl=None", "--clip-range-vf", "None").ppo.given() == {
        "target_kl": 0,
        "clip_range_vf": 0,
    }


def test_a_value_may_stand_behind_its_option() -> None:
    config = parsed("--resume", "False", "--net_arch", "[16]", "--vf_coef", "0.7")
    assert not config.resume
    assert config.ppo.given() == {"net_arch": (16,), "vf_coef": 0.7}


def test_nested_parameters_are_those_of_the_group_or_the_scenario() -> None:
    config = parsed(
        "--ppo={'gamma': 0.5, 'target_kl': None}",
        "--network={'nodes': 4, 'traces': {'source': 'generated'}}",
        "--process.layer_order=None",
    )
    assert config.ppo.given() == {"gamma": 0.5, "target_kl": 0}
    assert config.set == (
        "network.nodes=4",
        "network.traces.source=generated",
        "process.layer_order=null",
    )


def test_lists_of_an_option_that_is_repeated() -> None:
    command = parse(["evaluate", "--out=o", "--scheduler=['greedy', 'random']"])
    assert isinstance(command, EvaluateConfig)
    assert command.scheduler == ("greedy", "random")


WORDS = st.sampled_from(["--out", "run", "--seed", "3", "--resume", "--no-resume", "--gamma=0.5", "--", "-1"])


@given(st.lists(WORDS))
def test_what_our_parser_knows_is_left_alone(words: list[str]) -> None:
    assert as_we_write(words, TrainConfig) == words


def test_what_follows_two_dashes_is_left_alone() -> None:
    assert as_we_write(["--", "--resume=False"], TrainConfig) == ["--", "--resume=False"]


def test_a_field_of_the_scenario_is_trained_with(
    snakegym: Run, tiny: str, tmp_path: Path, short: dict[str, object]
) -> None:
    options = [part for option in short.items() for part in option]
    status, _, err = snakegym(
        "train", "--out=run", f"--scenario={tiny}", "--network.nodes=4", "--objective={'time': 0.5}", *options
    )
    assert status == 0, err
    scenario = json.loads((tmp_path / "run" / "config.json").read_text())["scenario"]
    assert scenario["network"]["nodes"] == 4
    assert scenario["objective"]["time"] == 0.5


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("--network.knots=4", "network.knots"),
        ("--resume=Maybe", "resume"),
        ("--learning_rate=[1]", "learning-rate"),
        ("--nonsense=True", "nonsense"),
    ],
)
def test_what_is_wrong_is_said(snakegym: Run, tmp_path: Path, option: str, named: str) -> None:
    status, _, err = snakegym("train", "--out", "out", option)
    assert status == 2
    assert named in err
    assert not (tmp_path / "out").exists()
