import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from snakegym.training.learn.checkpoints import read_state

Run = Callable[..., tuple[int, str, str]]
Rows = Callable[..., list[dict[str, str]]]
Contents = Callable[[Path], dict[str, bytes]]
Start = Callable[..., subprocess.Popen[str]]


@pytest.mark.painted
@pytest.mark.parametrize("algo", ["maskable-ppo", "ppo"])
def test_a_run_leaves_what_it_promises(train: Run, tmp_path: Path, algo: str, rows: Rows) -> None:
    status, out, err = train("--algo", algo)
    assert status == 0, err
    run = tmp_path / "run"
    assert {p.name for p in run.iterdir()} == {
        "config.json",
        "traces.json",
        "checkpoints",
        "best.zip",
        "progress.csv",
        "learner.csv",
        "learning_curve.png",
        "model_card.md",
        "evaluations.npz",
        "0.monitor.csv",
        "best_model.zip",
        "config.yml",
        "command.txt",
    }
    config = json.loads((run / "config.json").read_text())
    assert config["algo"] == algo
    assert config["scenario"]["network"]["nodes"] == 3
    assert [row["timesteps"] for row in rows(run)] == ["0", "16", "32"]
    assert all(0 <= float(row["validation_accuracy"]) <= 1 for row in rows(run))
    assert read_state(run / "checkpoints" / "latest.zip").timesteps == 32
    assert "trained 32 steps" in out


def test_reward_terms_add_up_to_the_return(a_run: Path, rows: Rows) -> None:
    last = rows(a_run)[-1]
    terms = [float(v) for k, v in last.items() if k.startswith("train_reward_")]
    assert sum(terms) == pytest.approx(float(last["train_return"]))


@pytest.mark.parametrize("n_envs", [1, 4])
def test_training_repeats_itself(train: Run, tmp_path: Path, n_envs: int, rows: Rows) -> None:
    train(n_envs=n_envs)
    (tmp_path / "run").rename(tmp_path / "first")
    train(n_envs=n_envs)
    assert rows(tmp_path / "run") == rows(tmp_path / "first")


def test_several_environments_train_and_go_on(train: Run, tmp_path: Path, rows: Rows) -> None:
    status, _, err = train(n_envs=2)
    assert status == 0, err
    before = rows(tmp_path / "run")
    status, _, err = train("--resume", n_envs=2, timesteps=64)
    assert status == 0, err
    after = rows(tmp_path / "run")
    assert after[: len(before)] == before
    assert [row["timesteps"] for row in after] == ["0", "16", "32", "48", "64"]
    assert float(after[-1]["train_hops"]) > 0


@pytest.mark.slow
def test_several_processes_train_and_repeat_themselves(train: Run, tmp_path: Path, rows: Rows) -> None:
    status, _, err = train(n_envs=3, workers=2, n_steps=24, timesteps=48)
    assert status == 0, err
    (tmp_path / "run").rename(tmp_path / "first")
    train(n_envs=3, workers=2, n_steps=24, timesteps=48)
    assert rows(tmp_path / "run") == rows(tmp_path / "first")
    assert [row["timesteps"] for row in rows(tmp_path / "run")] == ["0", "24", "48"]


def test_a_policy_for_scenarios_of_several_sizes(
    train: Run, snakegym: Run, tiny: str, tmp_path: Path
) -> None:
    larger = yaml.safe_load(Path(tiny).read_text())
    larger["name"], larger["network"]["nodes"] = "larger", 5
    (tmp_path / "larger.yaml").write_text(yaml.safe_dump(larger))
    status, _, err = train(scenario=f"{tiny},larger.yaml", n_envs=2, eval_episodes=3)
    assert status == 0, err
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["sizes"]["nodes"] == 5
    assert [one["network"]["nodes"] for one in config["scenario"]["each_of"]] == [3, 5]
    for scenario in (tiny, "larger.yaml"):
        done = snakegym(
            *("evaluate", "--scheduler", "run", "--scenario", scenario, "--episodes", "1"),
            *("--out", f"results-{Path(scenario).stem}"),
        )
        assert done[0] == 0, done[2]
        assert "trained on" not in done[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_envs": 2, "workers": 3}, "--workers: found 3, expected at most --n-envs, 2"),
        ({"workers": 0}, "--workers: found 0"),
        ({"device": "abacus"}, "device: found 'abacus'"),
        ({"scenario": "default,nobody"}, "unknown scenario 'nobody'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    train: Run, tmp_path: Path, options: dict[str, object], message: str
) -> None:
    status, _, err = train(**options)
    assert status == 2
    assert err.count("\n") == 1
    assert message in err
    assert not (tmp_path / "run").exists()


def test_a_run_is_never_overwritten(train: Run, a_run: Path, contents: Contents) -> None:
    before = contents(a_run)
    status, _, err = train()
    assert status == 2
    assert "holds a run already" in err
    assert contents(a_run) == before


def test_a_folder_with_other_files_is_refused(train: Run, tmp_path: Path, contents: Contents) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("precious")
    for options in ((), ("--resume",)):
        status, _, err = train(*options)
        assert status == 2
        assert err.count("\n") == 1
    assert contents(tmp_path / "run") == {"thesis.tex": b"precious"}


@pytest.fixture
def endless(
    start_snakegym: Start, tiny: str, tmp_path: Path, short: dict[str, object]
) -> Iterator[subprocess.Popen[str]]:
    """A training in a process of its own that will not end by itself."""
    options = [part for option in (short | {"--timesteps": 100_000}).items() for part in option]
    process = start_snakegym("train", "--out", "run", "--scenario", tiny, *options, cwd=tmp_path)
    yield process
    if process.poll() is None:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_a_killed_run_goes_on_from_its_last_checkpoint(
    endless: subprocess.Popen[str], train: Run, tmp_path: Path, rows: Rows
) -> None:
    latest = tmp_path / "run" / "checkpoints" / "latest.zip"
    wait_until(lambda: latest.exists() and read_state(latest).timesteps >= 32, endless)
    os.killpg(endless.pid, signal.SIGKILL)
    endless.communicate()
    kept = read_state(latest).timesteps
    before = rows(tmp_path / "run")[: kept // 16 + 1]
    status, _, err = train("--resume", timesteps=kept + 32)
    assert status == 0, err
    assert f"at {kept} steps" in err.replace(",", "")
    after = rows(tmp_path / "run")
    assert after[: len(before)] == before
    assert [int(row["timesteps"]) for row in after] == list(range(0, kept + 33, 16))


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on(endless: subprocess.Popen[str], tmp_path: Path) -> None:
    wait_until((tmp_path / "run" / "checkpoints" / "latest.zip").exists, endless)
    os.kill(endless.pid, signal.SIGINT)
    _, err = endless.communicate(timeout=60)
    assert endless.returncode == 130
    assert "Traceback" not in err
    assert "--resume" in err.splitlines()[-1]


def wait_until(true: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 90) -> None:
    """Wait for a condition while the process runs."""
    end = time.monotonic() + seconds
    while not true():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.02)
