"""A2C, DQN and recurrent PPO by `--algo`: trained, gone on with, and used, with nothing illegal proposed."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from snakegym.agents.hyperparameters import DEFAULTS

Run = Callable[..., tuple[int, str, str]]
SMALL = {
    "n_steps": 16,
    "batch_size": 16,
    "n_epochs": 1,
    "learning_starts": 16,
    "gradient_steps": 2,
    "buffer_size": 64,
}


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["a2c", "dqn", "recurrent-ppo"])
def test_it_is_trained_gone_on_with_and_used(
    snakegym: Run, tiny: str, tmp_path: Path, short: dict[str, object], algo: str
) -> None:
    options = {
        name: v for name, v in short.items() if name not in ("--n-steps", "--batch-size", "--n-epochs")
    }
    options |= {f"--{name}": value for name, value in SMALL.items() if name in DEFAULTS[algo]}
    words = [word for option in options.items() for word in option]
    command = ("train", "--scenario", tiny, "--algo", algo, "--out", "run", "--n_envs", 2)
    status, _, err = snakegym(*command, *words)
    assert status == 0, err
    words[words.index("--timesteps") + 1] = 64
    status, _, err = snakegym(*command, *words, "--resume")
    assert status == 0, err
    with (tmp_path / "run" / "progress.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["timesteps"] for row in rows] == ["0", "16", "32", "48", "64"]
    assert {row[f"{split}_illegal"] for row in rows for split in ("train", "validation")} <= {"", "0.0"}
    options = ("--scenario", tiny, "--episodes", 2, "--jobs", 1)
    status, _, err = snakegym("evaluate", "--scheduler", "run", *options, "--out", "out")
    assert status == 0, err
    with (tmp_path / "out" / "evaluation.csv").open() as file:
        assert [row["illegal"] for row in csv.DictReader(file)] == ["0", "0"]
