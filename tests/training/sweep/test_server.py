"""A sweep on W&B's server: its trials run here under its ids, whatever becomes of the server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("wandb")
pytestmark = pytest.mark.slow

Write = Callable[..., str]
IMPATIENT = """
import sys, threading, time
from pathlib import Path
import snakegym.training.tracking.agent as agent
from wandb.agents.pyagent import Agent

def wait_for_the_word():
    while not Path("nothing-more").exists():
        time.sleep(0.1)
    agent.IDLE_S = 3

Agent.HEARTBEAT_SLEEP_SECONDS = 0.5
agent.IDLE_S = float(sys.argv[1])
threading.Thread(target=wait_for_the_word, daemon=True).start()
from snakegym.training.cli import main
main(sys.argv[2:])
"""
"""Waits so long for a trial, and hardly any more once a file says that there will be none."""
JOBS = [(f"run{i}", {"learning_rate": rate, "gamma": 0.5}) for i, rate in enumerate((1e-4, 2e-4, 5e-4))]


@pytest.fixture
def sweep(sweep_file: Write, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Sweep in a process of its own, as W&B's settings are global."""

    def run(
        idle_s: float, *more: object, meanwhile: Callable[[], None] = lambda: None
    ) -> subprocess.CompletedProcess[str]:
        options = ("sweep", sweep_file(), "--out", "out", "--wandb", "online", "--no-wandb-media", *more)
        command = [sys.executable, "-c", IMPATIENT, str(idle_s), *map(str, options)]
        piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, cwd=tmp_path, text=True, **piped) as process:  # type: ignore[call-overload]
            meanwhile()
            out, err = process.communicate(timeout=500)
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    return run


def rates(folder: Path) -> dict[str, float]:
    """Learning rate of each run folder, by its name, as it was trained with."""
    return {
        path.parent.name: json.loads(path.read_text())["ppo"]["learning_rate"]
        for path in (folder / "trials").glob("*/config.json")
    }


def test_what_the_server_gives_out_runs_under_its_ids(
    wandb_server: Any, sweep: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    wandb_server.jobs = list(JOBS)
    done = sweep(120)
    assert done.returncode == 0, done.stderr
    assert wandb_server.sweep is not None
    assert "method: grid" in wandb_server.sweep["config"]
    assert rates(tmp_path / "out") == {run_id: p["learning_rate"] for run_id, p in JOBS}
    assert set(wandb_server.runs) == {"run0", "run1", "run2"}
    assert {run["sweep"] for run in wandb_server.runs.values()} == {"sw33p"}
    assert "3 trials of me/snakegym/sw33p were run here" in done.stdout
    assert "warning" not in done.stderr


def test_a_server_that_refuses_and_hangs_costs_a_warning_a_run(
    wandb_server: Any, sweep: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    wandb_server.jobs, wandb_server.then = list(JOBS), "refuses"
    done = sweep(25)
    assert done.returncode == 0, done.stderr
    assert rates(tmp_path / "out").keys() == {"run0", "run1", "run2"}
    assert "Traceback" not in done.stderr
    assert done.stderr.count("so this agent ends") == 1
    for run_id, _ in JOBS:
        assert (tmp_path / "out" / "trials" / run_id / "model_card.md").exists(), "trained to its end"


def test_three_runs_then_a_refused_key_then_silence(
    wandb_server: Any, sweep: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """The key is refused once the third run has begun, and then nothing is answered any more."""
    wandb_server.jobs = list(JOBS)

    def fail() -> None:
        wait_for(lambda: "run2" in wandb_server.runs)
        wandb_server.mode = "refuses"
        wait_for(lambda: wandb_server.refused > 0)
        wandb_server.mode = "hangs"
        (tmp_path / "nothing-more").touch()

    done = sweep(300, meanwhile=fail)
    assert done.returncode == 0, done.stderr
    assert wandb_server.refused > 0
    assert rates(tmp_path / "out") == {run_id: p["learning_rate"] for run_id, p in JOBS}
    assert set(wandb_server.runs) == {"run0", "run1", "run2"}
    for run_id, _ in JOBS:
        folder = tmp_path / "out" / "trials" / run_id
        assert (folder / "model_card.md").exists(), "trained to its end"
        assert [*(folder / "wandb").glob(f"run-*-{run_id}/*.wandb")], "all is kept"
    for run_id in ("run0", "run1"):
        assert any("validation/best_return" in row for row in wandb_server.history[run_id])
    assert done.stderr.count("Weights & Biases failed, training goes on without it") == 1
    assert done.stderr.count("so this agent ends") == 1
    assert done.stderr.count("warning:") == 2, done.stderr
    assert "Traceback" not in done.stderr


def wait_for(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + 300
    while not happened() and time.monotonic() < until:
        time.sleep(0.02)


def test_without_the_server_the_sweep_runs_here(
    wandb_server: Any, sweep: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    wandb_server.mode = "refuses"
    done = sweep(25, "--trials", 1, "--fresh-seeds", 0, "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("warning:") == 1
    assert "cannot be used online, the sweep runs here and is logged offline" in done.stderr
    assert (tmp_path / "out" / "best.yaml").exists()
    assert list((tmp_path / "out" / "trials" / "0000" / "run-0" / "wandb").glob("offline-run-*"))


def test_a_plain_agent_runs_the_same_file(
    wandb_server: Any, sweep_file: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `wandb sweep` and `wandb agent` do it on any machine: no option of ours, ids and values of W&B."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    wandb_server.config = Path(sweep_file()).read_text()
    wandb_server.jobs = [
        ("first", {"learning_rate": 1e-05, "target_kl": None, "resume": False}),
        ("second", {"policy": "mlp", "net_arch": [32, 16], "normalize_advantage": True, "network.nodes": 4}),
    ]
    command = [sys.executable, "-m", "wandb", "agent", "--count", "2", "me/snakegym/sw33p"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    found = {
        path.parent.name: json.loads(path.read_text()) for path in (tmp_path / "runs").glob("*/config.json")
    }
    assert found.keys() == wandb_server.runs.keys() == {"first", "second"}, done.stderr
    first, second = found["first"]["ppo"], found["second"]["ppo"]
    assert (first["learning_rate"], first["target_kl"]) == (1e-05, 0)
    assert (second["policy"], second["net_arch"]) == ("mlp", [32, 16])
    assert found["second"]["scenario"]["network"]["nodes"] == 4
    for run_id in found:
        assert (tmp_path / "runs" / run_id / "model_card.md").exists(), "trained to its end"
        assert any("validation/best_return" in row for row in wandb_server.history[run_id])
