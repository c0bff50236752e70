"""`snakegym sweep` without a server: it finds the best, goes on after a kill, and says what it did."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snakegym.training.sweep.outcome import FILES

Run = Callable[..., tuple[int, str, str]]
Write = Callable[..., str]
Start = Callable[..., subprocess.Popen[str]]
OFF = ("--wandb", "disabled")
ONE = ("--workers", 1, *OFF)


def summary(folder: Path) -> Any:
    return json.loads((folder / "summary.json").read_text())


@pytest.fixture
def sweep(snakegym: Run, sweep_file: Write) -> Run:
    """Sweep here, without tracking, into the folder `out`."""

    def run(*more: object, **changed: object) -> tuple[int, str, str]:
        return snakegym("sweep", sweep_file(**changed), "--out", "out", *ONE, *more)

    return run


def test_a_grid_leaves_what_it_promises(sweep: Run, snakegym: Run, tmp_path: Path) -> None:
    status, out, err = sweep("--fresh-seeds", 1)
    assert status == 0, err
    folder = tmp_path / "out"
    files = {p.name for p in folder.iterdir()}
    assert files == set(FILES)
    page = (folder / "report.html").read_text()
    assert all(title in page for title in ("What mattered", "All trials", "Accuracy against costs"))
    assert page.count("data:image/png") == 3
    found = summary(folder)
    assert [t["parameters"]["learning_rate"] for t in found["trials"]] == [1e-4, 1e-3]
    best = found["trials"][found["best"]]
    assert len(best["fresh"]) == 1
    assert best["state"] == "finished"
    assert "fresh" in out
    assert "learning_rate=0.001" in out
    status, _, err = snakegym("train", "--config", "out/best.yaml", "--out", "best", *OFF)
    assert status == 0, err
    config = json.loads((tmp_path / "best" / "config.json").read_text())
    assert config["ppo"]["learning_rate"] == best["parameters"]["learning_rate"]
    assert config["ppo"]["gamma"] == 0.5


def test_finished_trials_are_not_run_again(sweep: Run, tmp_path: Path) -> None:
    sweep("--trials", 1, "--fresh-seeds", 0)
    first = tmp_path / "out" / "trials" / "0000" / "run-0" / "checkpoints" / "latest.zip"
    before = first.stat().st_mtime_ns
    status, _, err = sweep("--trials", 2, "--fresh-seeds", 0)
    assert status == 0, err
    assert "going on after 1 of 2 trials" in err
    assert first.stat().st_mtime_ns == before
    assert len(summary(tmp_path / "out")["trials"]) == 2


def test_the_mean_over_seeds_counts(sweep: Run, tmp_path: Path) -> None:
    status, _, err = sweep("--trials", 1, "--seeds-per-trial", 2, "--fresh-seeds", 0)
    assert status == 0, err
    (trial,) = summary(tmp_path / "out")["trials"]
    values = [trial["values"]["run-0"], trial["values"]["run-1"]]
    assert trial["value"] == pytest.approx(sum(values) / 2)
    seeds = [
        json.loads((tmp_path / "out" / "trials" / "0000" / run / "config.json").read_text())["seed"]
        for run in trial["values"]
    ]
    assert seeds == [0, 1]


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_settings_are_drawn(sweep: Run, tmp_path: Path, method: str) -> None:
    pytest.importorskip("optuna")
    parameters = {"learning_rate": {"distribution": "log_uniform_values", "min": "1e-4", "max": 1e-2}}
    status, _, err = sweep("--trials", 2, "--fresh-seeds", 0, method=method, parameters=parameters)
    assert status == 0, err
    rates = [t["parameters"]["learning_rate"] for t in summary(tmp_path / "out")["trials"]]
    assert len(set(rates)) == 2
    assert all(1e-4 <= rate <= 1e-2 for rate in rates)


def test_what_does_not_keep_up_is_stopped(sweep: Run, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    status, _, err = sweep(
        "--fresh-seeds",
        0,
        metric={"name": "train/learning_rate", "goal": "maximize"},
        early_terminate={"type": "hyperband", "min_iter": 1, "eta": 2},
        parameters={"learning_rate": {"values": [1e-3, 1e-4, 2e-4]}},
    )
    assert status == 0, err
    found = summary(tmp_path / "out")
    assert [t["state"] for t in found["trials"]] == ["finished", "stopped", "stopped"]
    assert found["best"] == 0
    curve = (tmp_path / "out" / "trials" / "0001" / "run-0" / "progress.csv").read_text()
    assert curve.splitlines()[-1].startswith("16,"), "it went no further"


def test_a_trial_that_cannot_be_is_told_and_the_others_go_on(sweep: Run, tmp_path: Path) -> None:
    status, out, err = sweep("--fresh-seeds", 0, parameters={"n_envs": {"values": [3, 1]}})
    assert status == 0, err
    first, second = summary(tmp_path / "out")["trials"]
    assert (first["state"], second["state"]) == ("failed", "finished")
    assert "--n-steps: found 16, expected a multiple" in first["message"]
    assert "failed" in out


def test_where_all_trials_fail_it_says_why(sweep: Run) -> None:
    status, _, err = sweep(parameters={"n_envs": {"values": [3, 5]}})
    assert status == 2
    assert "no trial reported 'validation/best_return': --n-steps: found 16" in err


def test_the_folder_of_another_sweep_is_refused(sweep: Run, tmp_path: Path) -> None:
    sweep("--trials", 1, "--fresh-seeds", 0)
    before = summary(tmp_path / "out")
    status, _, err = sweep(parameters={"gamma": {"values": [0.1]}})
    assert status == 2
    assert "holds another sweep" in err
    assert summary(tmp_path / "out") == before


def test_without_optuna_it_says_how_to_get_it(
    sweep: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    status, _, err = sweep("--trials", 1, method="random")
    assert status == 2
    assert "snakegym[sweep]" in err
    assert not (tmp_path / "out").exists()


def test_trials_are_logged_to_tensorboard_alone_if_that_is_asked_for(
    snakegym: Run, sweep_file: Write, tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard")
    options = ("--track", "tensorboard", "--trials", 1, "--workers", 1, "--fresh-seeds", 0)
    status, _, err = snakegym("sweep", sweep_file(), "--out", "out", *options)
    assert status == 0, err
    run = tmp_path / "out" / "trials" / "0000" / "run-0"
    (events,) = (run / "tensorboard").iterdir()
    assert b"validation/best_return" in events.read_bytes()
    assert not (run / "wandb").exists()
    assert "warning" not in (run.parent / "run-0.log").read_text()
    assert "track" not in (tmp_path / "out" / "best.yaml").read_text()


@pytest.mark.slow
def test_after_a_kill_only_what_is_missing_runs(
    start_snakegym: Start, sweep_file: Write, tmp_path: Path
) -> None:
    file = sweep_file(parameters={"learning_rate": {"values": [1e-4, 2e-4, 5e-4, 1e-3]}})
    command = ("sweep", file, "--out", "out", "--workers", 2, "--fresh-seeds", 0, *OFF)
    process = start_snakegym(*command, cwd=tmp_path)
    folder = tmp_path / "out" / "trials"
    until = time.monotonic() + 240
    while len([*folder.glob("*/result.json")]) < 2 and time.monotonic() < until:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    kept = {p: p.stat().st_mtime_ns for p in folder.glob("*/result.json")}
    assert kept
    process = start_snakegym(*command, cwd=tmp_path)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert f"going on after {len(kept)} of 4 trials" in err
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
    assert [t["state"] for t in summary(tmp_path / "out")["trials"]] == ["finished"] * 4


@pytest.mark.slow
def test_what_a_dead_worker_was_at_is_run_again(
    start_snakegym: Start, sweep_file: Write, tmp_path: Path, sessions: Any
) -> None:
    file = sweep_file(parameters={"learning_rate": {"values": [1e-4, 2e-4, 5e-4, 1e-3]}})
    options = ("--out", "out", "--workers", 2, "--fresh-seeds", 0, *OFF)
    process = start_snakegym("sweep", file, *options, cwd=tmp_path)
    until = time.monotonic() + 240
    while not [*(tmp_path / "out").glob("trials/*/trial.json")] and time.monotonic() < until:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    os.kill(sessions.running(process.pid, b"spawn_main")[0], signal.SIGKILL)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert err.count("a worker died: what it was at is done again") == 1
    assert [t["state"] for t in summary(tmp_path / "out")["trials"]] == ["finished"] * 4
    assert not sessions.wait_for_end(process.pid, 20)


@pytest.mark.slow
def test_trials_are_offline_runs_of_one_group(
    snakegym: Run, sweep_file: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    status, _, err = snakegym("sweep", sweep_file(), "--out", "out", "--workers", 1, "--fresh-seeds", 0)
    assert status == 0, err
    groups = set()
    for number, rate in enumerate((1e-4, 1e-3)):
        (run,) = (tmp_path / "out" / "trials" / f"{number:04d}" / "run-0" / "wandb").glob("offline-run-*")
        command = [sys.executable, "-m", "wandb", "leet", "inspect", "--summary", "--json", str(run)]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        groups.add(found["config"]["group"])
        assert found["config"]["learning_rate"] == rate
        used = json.loads((run.parents[1] / "config.json").read_text())["ppo"]
        assert {name: found["config"][name] for name in used} == used
        value = summary(tmp_path / "out")["trials"][number]["value"]
        assert found["summary"]["validation/best_return"] == pytest.approx(value)
        assert found["summary"]["best_validation_return"] == pytest.approx(value)
        with (run.parents[1] / "progress.csv").open() as file:
            *_, last = csv.DictReader(file)
        for column in ("return", "accuracy", "time_s", "energy_j", "n_bytes", "hops"):
            assert found["summary"][f"validation/{column}"] == pytest.approx(
                float(last[f"validation_{column}"])
            )
        assert found["exit_code"] == 0
    assert groups == {summary(tmp_path / "out")["group"]}
