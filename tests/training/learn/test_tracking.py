import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from snakegym.training.learn.tracking import NoTracker, start_tracker, wandb_mode

Run = Callable[..., tuple[int, str, str]]
needs_wandb = pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")


def test_what_was_asked_for_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert wandb_mode("online") == "online"
    assert wandb_mode("auto") == "offline"


@needs_wandb
def test_without_a_login_nothing_goes_online(monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setattr(wandb, "login", lambda **_: False)
    assert wandb_mode("auto") == "offline"
    monkeypatch.setattr(wandb, "login", lambda **_: True)
    assert wandb_mode("auto") == "online"


def test_without_wandb_there_is_one_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    tracker = start_tracker("offline", tmp_path, "id", "name", {})
    assert isinstance(tracker, NoTracker)
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "snakegym[wandb]" in err


@needs_wandb
@pytest.mark.slow
def test_an_offline_run_is_read_back(
    snakegym: Run, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: dict[str, object]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    options = [part for option in short.items() for part in option if "--wandb" not in option]
    status, _, err = snakegym("train", "--out", "run", "--scenario", tiny, *options)
    assert status == 0, err
    assert [p.name for p in tmp_path.rglob("wandb")] == ["wandb"]
    run = next((tmp_path / "run" / "wandb").glob("offline-run-*"))
    inspected = subprocess.run(
        [sys.executable, "-m", "wandb", "leet", "inspect", "--summary", "--json", str(run)],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(inspected.stdout)
    assert found["config"]["scenario"]["name"] == "tiny"
    assert found["config"]["algo"] == "maskable-ppo"
    assert found["exit_code"] == 0
    summary = json.dumps(found)
    for name in ("validation/return", "train/reward_gain", "train/energy_j", "best_validation_return"):
        assert name in summary
