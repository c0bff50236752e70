"""Where a training goes that nobody gave a folder: by the id of `wandb agent`, else by what it is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from snakegym.training.learn.config import TrainConfig
from snakegym.training.learn.naming import placed, run_name

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def unplaced(
    snakegym: Run, tiny: str, short: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Train without --out, as an agent would."""
    monkeypatch.delenv("WANDB_RUN_ID", raising=False)
    options = [f"{option}={value}" for option, value in short.items()]
    return lambda *more: snakegym("train", f"--scenario={tiny}", *options, *more)


def test_runs_of_an_agent_have_their_ids_and_folders(
    unplaced: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run_id in ("a1b2c3", "d4e5f6"):
        monkeypatch.setenv("WANDB_RUN_ID", run_id)
        status, _, err = unplaced("--resume=False")
        assert status == 0, err
        config = json.loads((tmp_path / "runs" / run_id / "config.json").read_text())
        assert config["run_id"] == run_id


def test_an_agents_run_that_is_started_again_goes_on(unplaced: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_RUN_ID", "a1b2c3")
    unplaced()
    status, _, err = unplaced()
    assert status == 0, err
    assert "has 32 steps already" in err


def test_without_an_id_the_name_says_what_it_is(unplaced: Run, tmp_path: Path) -> None:
    for _ in range(2):
        status, out, err = unplaced("--seed=3")
        assert status == 0, err
        assert "run folder runs/tiny__maskable-ppo__3__" in out
    names = sorted(p.name for p in (tmp_path / "runs").iterdir())
    assert len(names) == 2
    assert all(re.fullmatch(r"tiny__maskable-ppo__3__\d+", name) for name in names)


def test_names_are_names_of_files() -> None:
    config = TrainConfig(scenario="../my scenarios/a b.yaml", algo="lib.x:PPO", seed=1)
    assert run_name(config, 7) == "a_b__lib.x_PPO__1__7"


@pytest.mark.parametrize("run_id", ["../up", "a/b", "..", "x" * 65])
def test_an_id_that_is_none_is_refused(
    unplaced: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_id: str
) -> None:
    monkeypatch.setenv("WANDB_RUN_ID", run_id)
    status, _, err = unplaced()
    assert status == 2
    assert err.startswith("error: WANDB_RUN_ID: found")
    assert not (tmp_path / "runs").exists()


def test_there_must_be_something_to_resume(unplaced: Run) -> None:
    status, _, err = unplaced("--resume")
    assert (status, err) == (
        2,
        "error: --resume: found no --out, expected the folder of the run to go on with\n",
    )


def test_a_folder_that_is_given_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_RUN_ID", "a1b2c3")
    config = TrainConfig(Path("mine"))
    assert placed(config) == config
