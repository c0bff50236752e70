"""What is logged has the names that docs/tracking.md lists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from snakegym.agents.hyperparameters import Hyperparameters
from snakegym.training.learn.config import TrainConfig
from snakegym.training.learn.logged import METRIC_NAMES, SUMMARY_NAMES, accuracy_by_hop
from snakegym.training.learn.train import train

PAGE = Path(__file__).parents[3] / "docs" / "tracking.md"


def listed() -> set[str]:
    """Names in the page's table, a group before the slash carried on to those without one."""
    found: set[str] = set()
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        group = ""
        for name in re.findall(r"`([a-z_/]+)`", line.split("|")[1] if line.startswith("|") else ""):
            group = name.partition("/")[0] if "/" in name else group
            found.add(name if "/" in name or not group else f"{group}/{name}")
    return found


@pytest.mark.parametrize("algo", ["maskable-ppo", "ppo"])
def test_a_training_logs_what_is_listed(tiny: str, tmp_path: Path, algo: str) -> None:
    logged: set[str] = set()

    def listen(metrics: dict[str, float], timesteps: int) -> bool:
        logged.update(metrics)
        return True

    settings = Hyperparameters(n_steps=16, batch_size=16, n_epochs=1, clip_range_vf=0.2)
    config = TrainConfig(
        tmp_path / "run",
        algo=algo,
        scenario=tiny,
        timesteps=48,
        eval_episodes=1,
        wandb="disabled",
        ppo=settings,
    )
    train(config, listen)
    assert logged == set(METRIC_NAMES)


def test_the_page_lists_them_all() -> None:
    assert set(METRIC_NAMES) <= listed()
    assert all(f"`{name}`" in PAGE.read_text(encoding="utf-8") for name in SUMMARY_NAMES)


def test_the_listener_ends_a_training(tiny: str, tmp_path: Path) -> None:
    settings = Hyperparameters(n_steps=16, batch_size=16, n_epochs=1)
    config = TrainConfig(
        tmp_path / "run", scenario=tiny, timesteps=160, eval_episodes=1, wandb="disabled", ppo=settings
    )
    result = train(config, lambda metrics, timesteps: timesteps < 32)
    assert result.stopped
    assert result.timesteps == 32
    assert result.best_return is not None


def test_an_episode_that_is_over_keeps_its_last_accuracy() -> None:
    def record(*accuracies: float) -> dict[str, object]:
        first, *others = accuracies
        return {"initial_accuracy": first, "trace": [{"metric": a} for a in others]}

    rows = accuracy_by_hop(7, [record(0.0, 0.5, 1.0), record(0.0, 0.25)])  # type: ignore[list-item]
    assert rows == [[7, 0, 0.0], [7, 1, 0.375], [7, 2, 0.625]]
