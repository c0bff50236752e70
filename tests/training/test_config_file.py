"""`--config FILE` gives the options of any command; runs write the file with which they can be repeated."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from snakegym.training.arguments import document_of, from_document
from snakegym.training.cli import parse
from snakegym.training.evaluate.config import EvaluateConfig
from snakegym.training.play.config import PlayConfig
from snakegym.training.report.config import ReportConfig
from snakegym.training.sweep.config import SweepConfig

Run = Callable[..., tuple[int, str, str]]


def test_a_run_is_repeated_from_its_own_file(
    snakegym: Run, tiny: str, tmp_path: Path, short: dict[str, object]
) -> None:
    options = [part for option in short.items() for part in option]
    status, _, err = snakegym("train", "--out", "run", "--scenario", tiny, "--network.nodes=4", *options)
    assert status == 0, err
    status, _, err = snakegym("train", "--out", "again", "--config", "run/config.yml")
    assert status == 0, err
    first, again = (json.loads((tmp_path / name / "config.json").read_text()) for name in ("run", "again"))
    assert first["scenario"]["network"]["nodes"] == 4
    assert {**first, "run_id": 0} == {**again, "run_id": 0}
    assert (tmp_path / "run" / "progress.csv").read_text() == (
        tmp_path / "again" / "progress.csv"
    ).read_text()


def test_scripts_for_stable_baselines_find_their_files(
    snakegym: Run, tiny: str, tmp_path: Path, short: dict[str, object]
) -> None:
    options = [part for option in short.items() for part in option]
    for more in ((), ("--resume", "--timesteps", 64)):
        words = [w for w in options if more == () or w not in ("--timesteps", 32)]
        status, _, err = snakegym("train", "--out", "run", "--scenario", tiny, *words, *more)
        assert status == 0, err
    with np.load(tmp_path / "run" / "evaluations.npz") as evaluations:
        assert evaluations["timesteps"].tolist() == [0, 16, 32, 48, 64]
        assert evaluations["results"].shape == evaluations["ep_lengths"].shape == (5, 1)
    head, columns, *episodes = (tmp_path / "run" / "0.monitor.csv").read_text().splitlines()
    assert head.startswith('#{"t_start"')  # what SB3's load_results asks for
    assert columns == "r,l,t"
    last = (tmp_path / "run" / "progress.csv").read_text().splitlines()[-1].split(",")
    assert len(episodes) == int(last[1])
    assert 0 < sum(int(episode.split(",")[1]) for episode in episodes) <= 64
    assert (tmp_path / "run" / "best_model.zip").read_bytes() == (tmp_path / "run" / "best.zip").read_bytes()
    assert (tmp_path / "run" / "command.txt").read_text().strip()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["evaluate"],
            EvaluateConfig(scheduler=("greedy", "random"), out=Path("x"), episodes=3, stochastic=True),
        ),
        (["play"], PlayConfig(scenario="tidal", fps=1.0, out=Path("x.gif"))),
        (["report"], ReportConfig(results=(Path("a"), Path("b")), target=0.5)),
        (["sweep"], SweepConfig(file="ppo", out=Path("x"), trials=3)),
    ],
)
def test_every_command_takes_its_options_from_a_file(
    tmp_path: Path, words: list[str], expected: object
) -> None:
    path = tmp_path / "options.yaml"
    path.write_text(json.dumps(document_of(expected)))
    assert parse([*words, "--config", str(path)]) == expected


def test_the_command_line_counts_more(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("out: x\nscheduler: [greedy]\nepisodes: 3\nstochastic: true\n")
    file = f"--config={tmp_path / 'a.yaml'}"
    command = parse(["evaluate", file, "--episodes=5", "--no-stochastic", "--scheduler", "random"])
    assert command == EvaluateConfig(scheduler=("random",), out=Path("x"), episodes=5)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("episods: 3", "unknown option 'episods'"),
        ("[1]", "found list"),
        ("episodes: many", "a.yaml"),
        ("stochastic: 3", "--stochastic: found '3'"),
        ("a: 1\na: 2", "found 'a' twice"),
    ],
)
def test_what_is_wrong_in_a_file_is_one_line_that_names_it(
    snakegym: Run, tmp_path: Path, text: str, named: str
) -> None:
    (tmp_path / "a.yaml").write_text(text)
    status, _, err = snakegym("evaluate", "--config", "a.yaml", "--out", "out", "--scheduler", "random")
    assert status == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert named in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", [["--config"], ["--config", "nowhere.yaml"]])
def test_a_file_must_be_there(snakegym: Run, words: list[str]) -> None:
    status, _, err = snakegym("evaluate", *words)
    assert status == 2
    assert err.count("\n") == 1


def test_sections_of_a_scenario_may_stand_in_a_file() -> None:
    from snakegym.training.learn.config import TrainConfig

    words = from_document({"network": {"nodes": 4}, "ppo": {"gamma": 0.5}}, "a.yaml", TrainConfig, [])
    assert words == ["--network={'nodes': 4}", "--gamma=0.5"]
