"""`snakegym train --preset`: whole trainings by name."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from snakegym.agents.planning.fitted.files import fitted_to
from snakegym.errors import SnakegymError, SnakegymWarning
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


def own(names: str) -> list[str]:
    """Files of scenarios that are there for presets alone, among those names."""
    return [name for name in names.split(",") if name.endswith(".yaml")]


def test_the_reference_learns_from_a_planner_everywhere() -> None:
    config = parsed("--preset=reference")
    assert config.imitation.imitate == "lookahead"
    imitated = {*str(config.imitation.imitate_scenario).split(",")}
    (file,) = own(config.scenario)
    assert imitated == {*list_scenarios(), file}
    assert {*config.scenario.split(",")} < imitated


def test_it_knows_client_server_mode_by_a_default_that_differs_in_nothing_else() -> None:
    """Nor have planners less to go by there: teachers have a model of gains of their own."""
    (file,) = own(parsed("--preset", "reference").scenario)
    scenario, default = load_scenario(file), load_scenario("default")
    as_default = {"name": "default", "summary": default.summary, "fitted": None}
    p2p = scenario.network.model_copy(update={"mode": "p2p"})
    assert scenario.network.mode == "cs"
    assert scenario.model_copy(update=as_default | {"network": p2p}) == default
    with warnings.catch_warnings():
        warnings.simplefilter("error", SnakegymWarning)
        assert fitted_to(scenario) is not None


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
