import importlib.util
import json
import platform
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from snakegym.agents.hyperparameters import DEFAULTS
from snakegym.training.tracking.tracker import About, NoTracker
from snakegym.training.tracking.weights_and_biases import start_wandb, wandb_mode

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
    tracker = start_wandb("offline", About(tmp_path, "id", "name", "train", {}))
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
    assert isinstance(start_wandb("auto", About(tmp_path, "id", "name", "train", {})), NoTracker)
    err = capsys.readouterr().err
    assert err == (
        "warning: Weights & Biases cannot start, training goes on without it: WANDB_BASE_URL is no address\n"
    )


@needs_wandb
@pytest.mark.slow
@pytest.mark.painted
def test_an_offline_run_is_read_back(
    snakegym: Run, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: dict[str, object]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    options = [part for option in short.items() for part in option if "--wandb" not in option]
    monkeypatch.setenv("WANDB_RUN_ID", "a1b2c3")
    monkeypatch.setenv("WANDB_TAGS", "a,b")
    labels = ("--wandb-group", "mine", "--wandb-notes", "why")
    status, _, err = snakegym("train", "--scenario", tiny, *options, *labels)
    assert status == 0, err
    assert [p.name for p in tmp_path.rglob("wandb")] == ["wandb"]
    run = next((tmp_path / "runs" / "a1b2c3" / "wandb").glob("offline-run-*"))
    inspected = subprocess.run(
        [sys.executable, "-m", "wandb", "leet", "inspect", "--summary", "--json", str(run)],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(inspected.stdout)
    assert found["config"]["scenario"] == "tiny.yaml"
    assert found["config"]["scenario_settings"]["network"]["nodes"] == 3
    assert found["config"]["algo"] == "maskable-ppo"
    assert found["config"]["gamma"] == DEFAULTS["maskable-ppo"]["gamma"]
    assert found["config"]["group"] == "mine"
    assert found["tags"] == ["a", "b"]
    assert found["notes"] == "why"
    assert re.fullmatch(r"tiny__maskable-ppo__0__\d+", found["name"])
    assert found["config"]["versions"]["python"] == platform.python_version()
    assert found["exit_code"] == 0
    summary = json.dumps(found)
    for name in (
        "train/approx_kl",
        "time/fps",
        "validation/return",
        "rollout/ep_rew_mean",
        "rollout/reward_gain",
        "rollout/energy_j",
        "eval/mean_reward",
        "validation/accuracy_per_hop",
        "validation/accuracy_by_hop",
        "episode/hops",
        "media/learning_curve",
        "media/gantt",
        "media/episode",
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


@needs_wandb
@pytest.mark.slow
def test_an_evaluation_is_logged_if_asked_for(snakegym: Run, tiny: str, tmp_path: Path) -> None:
    options = ("--scenario", tiny, "--scheduler", "random", "--scheduler", "serpentine", "--episodes", 2)
    status, _, err = snakegym("evaluate", *options, "--out", "out", "--jobs", 1, "--wandb", "offline")
    assert status == 0, err
    (run,) = (tmp_path / "out" / "wandb").glob("offline-run-*")
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--summary", "--json", str(run)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found["config"]["episodes"] == 2
    assert found["summary"]["evaluation/episodes"]["nrows"] == 4
    assert found["summary"]["evaluation/1"]["nrows"] == 2
    evaluation = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    mean = evaluation["summary"]["random"]["total_reward"]["value"]
    assert found["summary"]["random/total_reward"] == pytest.approx(mean)
    status, _, err = snakegym("evaluate", *options, "--out", "out", "--jobs", 1)
    assert status == 0, err


@pytest.fixture
def train_online(
    start_snakegym: Callable[..., subprocess.Popen[str]], tiny: str, tmp_path: Path, short: dict[str, object]
) -> Callable[..., subprocess.Popen[str]]:
    """Start a training that is sent to the server that the environment names."""

    def start(**changed: object) -> subprocess.Popen[str]:
        asked = short | {"--wandb": "auto"} | {f"--{k.replace('_', '-')}": v for k, v in changed.items()}
        options = [part for option in asked.items() for part in option]
        return start_snakegym("train", "--out", "run", "--scenario", tiny, *options, cwd=tmp_path)

    return start


@needs_wandb
@pytest.mark.slow
def test_what_is_logged_reaches_the_server(
    wandb_server: Any, train_online: Callable[..., subprocess.Popen[str]]
) -> None:
    process = train_online(wandb_project="snakes", wandb_job_type="demo")
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    ((run_id, run),) = wandb_server.runs.items()
    assert (run["project"], run["jobType"]) == ("snakes", "demo")
    assert json.loads(run["config"])["gamma"]["value"] == DEFAULTS["maskable-ppo"]["gamma"]
    steps = [row["timesteps"] for row in wandb_server.history[run_id] if "validation/return" in row]
    assert steps == [0, 16, 32]


@needs_wandb
@pytest.mark.slow
def test_a_refused_key_is_said_once_and_the_run_is_kept(
    wandb_server: Any, train_online: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    wandb_server.mode = "refuses"
    process = train_online()
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert err.count("warning:") == 1
    assert "cannot be used online, training goes on and is logged offline" in err
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb"))


@needs_wandb
@pytest.mark.slow
@pytest.mark.parametrize("fate", ["refuses", "hangs", "is gone"])
def test_a_server_that_is_lost_in_mid_run_ends_nothing(
    wandb_server: Any, train_online: Callable[..., subprocess.Popen[str]], tmp_path: Path, fate: str
) -> None:
    process = train_online(timesteps=160)
    until = time.monotonic() + 120
    while not wandb_server.runs and time.monotonic() < until:
        time.sleep(0.05)
    assert wandb_server.runs
    if fate == "is gone":
        wandb_server.close()
    else:
        wandb_server.mode = fate
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert err.count("warning:") == 1, err
    assert "wandb sync" in err
    kept = next((tmp_path / "run" / "wandb").glob("run-*/*.wandb"))
    assert kept.stat().st_size > 1000
    assert (tmp_path / "run" / "model_card.md").exists()
