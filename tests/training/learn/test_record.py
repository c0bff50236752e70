"""What a run says about itself: hyperparameters, versions, the algorithm's own metrics, results."""

import json
import platform
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from snakegym.agents.hyperparameters import DEFAULTS, NAMES, Hyperparameters
from snakegym.training.learn.config import TrainConfig
from snakegym.training.learn.train import train as train_as_library

Run = Callable[..., tuple[int, str, str]]
Rows = Callable[..., list[dict[str, str]]]

POISON = """
import torch
from sb3_contrib import MaskablePPO

class After(MaskablePPO):
    def train(self):
        super().train()
        torch.nn.init.constant_(self.policy.value_net.bias, torch.inf)

class Before(MaskablePPO):
    def train(self):
        torch.nn.init.constant_(self.policy.action_net.wait.bias, torch.nan)
        super().train()
"""


def plain_help(snakegym: Run) -> str:
    """The help without its frame, as one line."""
    _, out, _ = snakegym("train", "--help")
    return " ".join(re.sub("[│╭╮╰╯─]", " ", out).split())


@pytest.mark.parametrize("algo", [name for name, settings in DEFAULTS.items() if "n_epochs" in settings])
def test_the_config_holds_the_hyperparameters_that_are_used(train: Run, tmp_path: Path, algo: str) -> None:
    train("--ppo.vf-coef", "0.25", "--target-kl", "0", algo=algo)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    expected = DEFAULTS[algo] | {
        "n_steps": 16,
        "batch_size": 16,
        "n_epochs": 1,
        "vf_coef": 0.25,
        "target_kl": 0,
    }
    assert config["ppo"] == {name: value for name, value in expected.items() if name != "net_arch"}
    assert config["masked"] is (algo == "maskable-ppo")
    assert config["sizes"] == {"nodes": 3, "layers": 7, "actions": 23}


def test_the_config_holds_the_versions(a_run: Path) -> None:
    versions = json.loads((a_run / "config.json").read_text())["versions"]
    assert {"snakegym", "stable-baselines3", "sb3-contrib", "gymnasium"} <= versions.keys()
    assert (versions["python"], versions["numpy"]) == (platform.python_version(), np.__version__)
    assert versions["torch"] == version("torch")


def test_the_help_shows_the_true_defaults(snakegym: Run) -> None:
    text = plain_help(snakegym)
    for name in NAMES:
        option = f"--{name.replace('_', '-')}"
        values = {str(settings[name]) for settings in DEFAULTS.values() if name in settings}
        shown = re.search(
            rf"--ppo\.{option[2:]} (?P<metavar>\S+|\[INT \.\.\.\]), {option} .*?\(default: (.*?)\)", text
        )
        assert shown, option
        said = [value.strip("()").replace(",", "") for value in values]
        assert shown[2] == said[0] if len(said) == 1 else all(f"{v} of " in shown[2] for v in said), option


def test_the_help_says_what_resuming_and_loading_do(snakegym: Run) -> None:
    text = plain_help(snakegym)
    assert "it is not, number by number, the uninterrupted run" in text
    assert "read without running anything that is in them" in text


def test_settings_are_spelled_with_or_without_their_group(snakegym: Run, train: Run, tmp_path: Path) -> None:
    found = []
    for spelling in ("--gamma", "--ppo.gamma"):
        status, _, err = train(spelling, "0.5")
        assert status == 0, err
        found.append(json.loads((tmp_path / "run" / "config.json").read_text())["ppo"])
        (tmp_path / "run").rename(tmp_path / spelling)
    assert found[0] == found[1]
    assert found[0]["gamma"] == 0.5


def test_the_algorithms_own_metrics_are_kept(a_run: Path, rows: Rows) -> None:
    first, *later = rows(a_run, "learner.csv")
    assert first["timesteps"] == "0"
    assert not any(value for name, value in first.items() if name != "timesteps")
    assert [row["timesteps"] for row in later] == ["16", "32"]
    assert [float(row["train/n_updates"]) for row in later] == [1, 2]
    for row in later:
        assert float(row["train/learning_rate"]) == DEFAULTS["ppo"]["learning_rate"]
        assert float(row["train/value_loss"]) > 0
        assert float(row["time/total_timesteps"]) == float(row["timesteps"])


def test_they_go_on_when_a_run_is_resumed(train: Run, a_run: Path, rows: Rows) -> None:
    before = rows(a_run, "learner.csv")
    train("--resume", timesteps=64)
    after = rows(a_run, "learner.csv")
    assert after[: len(before)] == before
    assert [float(row["train/n_updates"]) for row in after[1:]] == [1, 2, 3, 4]


def test_training_returns_what_came_out(tiny: str, tmp_path: Path, rows: Rows) -> None:
    small = Hyperparameters(n_steps=16, n_epochs=1)
    config = TrainConfig(
        tmp_path / "run", scenario=tiny, timesteps=32, eval_episodes=1, wandb="disabled", ppo=small
    )
    result = train_as_library(config)
    assert (result.folder, result.timesteps) == (tmp_path / "run", 32)
    table = rows(result.folder)
    assert [str(row["timesteps"]) for row in result.curve] == [row["timesteps"] for row in table]
    best = [row for row in table if row["timesteps"] == str(result.best_timesteps)]
    assert float(best[-1]["validation_return"]) == result.best_return
    assert result.config == json.loads((result.folder / "config.json").read_text())
    assert result.config["ppo"]["batch_size"] == 16


@pytest.mark.parametrize("when", ["After", "Before"])
def test_a_training_that_diverges_is_called_so(train: Run, tmp_path: Path, when: str) -> None:
    (tmp_path / "poison.py").write_text(POISON)
    status, _, err = train(algo=f"poison.py:{when}")
    assert status == 2
    assert "error: run: training diverged after 16 steps" in err
    assert "Traceback" not in err


def test_an_algorithm_of_ones_own_is_trained_and_evaluated(
    snakegym: Run, train: Run, tmp_path: Path, tiny: str
) -> None:
    code = "from sb3_contrib import MaskablePPO\nclass Mine(MaskablePPO):\n    pass\n"
    (tmp_path / "mine.py").write_text(code)
    status, _, err = train(algo="mine.py:Mine")
    assert status == 0, err
    # To evaluate its policy, its code is neither needed nor run.
    (tmp_path / "mine.py").write_text("raise SystemExit('it ran')")
    status, _, err = snakegym(
        "evaluate", "--scheduler", "run", "--scenario", tiny, "--episodes", 1, "--jobs", 1, "--out", "out"
    )
    assert status == 0, err
