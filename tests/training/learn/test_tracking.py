import importlib.util
import json
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
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
def test_a_broken_set_up_is_one_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import wandb

    def broken(**_: object) -> None:
        raise ValueError("WANDB_BASE_URL\nis no address")

    monkeypatch.setattr(wandb, "setup", broken)
    assert isinstance(start_tracker("auto", tmp_path, "id", "name", {}), NoTracker)
    err = capsys.readouterr().err
    assert err == (
        "warning: Weights & Biases cannot start, training goes on without it: WANDB_BASE_URL is no address\n"
    )


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
    assert found["config"]["ppo"]["gamma"] == 0.9
    assert found["config"]["versions"]["python"] == platform.python_version()
    assert found["exit_code"] == 0
    summary = json.dumps(found)
    for name in (
        "train/approx_kl",
        "time/fps",
        "validation/return",
        "train/reward_gain",
        "train/energy_j",
        "best_validation_return",
    ):
        assert name in summary


@pytest.fixture(params=["refuses", "never answers"])
def unreachable(request: pytest.FixtureRequest) -> Iterator[str]:
    """Address of a W&B server that is not there."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        if request.param == "never answers":
            listening.listen(64)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@needs_wandb
@pytest.mark.slow
def test_a_server_out_of_reach_is_said_at_once_and_training_goes_on(
    start_snakegym: Callable[..., subprocess.Popen[str]],
    tiny: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    short: dict[str, object],
    unreachable: str,
) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.delenv("WANDB_SERVICE", raising=False)  # of a run in this process
    monkeypatch.setenv("WANDB_BASE_URL", unreachable)
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "3")
    options = [part for option in (short | {"--wandb": "auto"}).items() for part in option]
    begin = time.monotonic()
    process = start_snakegym("train", "--out", "run", "--scenario", tiny, *options, cwd=tmp_path)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert time.monotonic() - begin < 60
    waiting = f"waiting for Weights & Biases at {unreachable}, 3 s at most"
    offline = "warning: Weights & Biases cannot be used online, training goes on and is logged offline"
    assert err.index(waiting) < err.index(offline) < err.index("train:")
    kept = next((tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb"), None)
    assert kept, err
    assert kept.stat().st_size > 0, err
    assert (tmp_path / "run" / "checkpoints" / "latest.zip").exists()
