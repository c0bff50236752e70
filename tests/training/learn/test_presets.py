"""`snakegym train --preset`: whole trainings by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from snakegym.errors import SnakegymError
from snakegym.scenario import list_scenarios, load_scenario
from snakegym.training.cli import parse
from snakegym.training.learn.config import TrainConfig
from snakegym.training.learn.presets import presets


def parsed(*words: str) -> TrainConfig:
    config = parse(["train", *words])
    assert isinstance(config, TrainConfig)
    return config


@pytest.mark.parametrize("name", presets().split(", "))
def test_a_preset_is_a_training(name: str) -> None:
    config = parsed("--preset", name)
    config.validate()
    assert config != parsed()


def test_the_reference_learns_from_a_planner_everywhere() -> None:
    config = parsed("--preset=reference")
    assert config.imitation.imitate == "lookahead"
    shipped = {name for name in list_scenarios() if load_scenario(name).data.dataset == "digits"}
    assert {*str(config.imitation.imitate_scenario).split(",")} == shipped
    assert {*config.scenario.split(",")} < shipped


def test_what_is_said_on_the_command_line_counts_most_and_a_file_more_than_a_preset(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("timesteps: 7\nseed: 3\nscenario: default\n")
    config = parsed("--seed", "5", "--preset", "reference", "--config", str(file))
    preset = parsed("--preset", "reference")
    assert (config.seed, config.timesteps, config.scenario) == (5, 7, "default")
    assert config.imitation == preset.imitation
    assert config.n_envs == preset.n_envs


@pytest.mark.parametrize("words", [["--preset", "nobody"], ["--preset"], ["--preset="]])
def test_an_unknown_preset_is_refused(words: list[str]) -> None:
    with pytest.raises(SnakegymError, match="reference"):
        parsed(*words)
