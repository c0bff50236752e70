"""The whole path: train a policy, then compare it with rules."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(snakegym: Run, tiny: str, tmp_path: Path, short: dict[str, object]) -> Path:
    """A training run."""
    options = [part for option in short.items() for part in option]
    status, _, err = snakegym("train", "--out", "run", "--scenario", tiny, *options)
    assert status == 0, err
    return tmp_path / "run"


def test_a_run_is_a_scheduler_like_any_other(snakegym: Run, run: Path, tiny: str, tmp_path: Path) -> None:
    schedulers = ("--scheduler", "run", "--scheduler", "random")
    status, out, err = snakegym(
        "evaluate", *schedulers, "--scenario", tiny, "--episodes", 2, "--jobs", 1, "--out", "out"
    )
    assert status == 0, err
    data = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert data["baseline"] == "random"
    assert list(data["weights"]) == ["run"]
    assert "Compared with random" in out
    assert all(e["illegal"] == 0 for e in data["episodes"]["run"])


def test_a_run_of_another_scenario_is_refused(snakegym: Run, run: Path, tmp_path: Path) -> None:
    status, _, err = snakegym("evaluate", "--scheduler", "run", "--scenario", "default", "--out", "out")
    assert status == 2
    assert "'tiny'" in err
    assert not (tmp_path / "out").exists()


def test_a_truncated_model_is_refused(snakegym: Run, run: Path, tiny: str, tmp_path: Path) -> None:
    best = run / "best.zip"
    best.write_bytes(best.read_bytes()[:1000])
    status, _, err = snakegym("evaluate", "--scheduler", "run", "--scenario", tiny, "--out", "out")
    assert status == 2
    assert "best.zip" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()
