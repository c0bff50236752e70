"""`--config FILE` gives the options of any command; runs write the file with which they can be repeated."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snakegym.agents.hyperparameters import Hyperparameters
from snakegym.training.arguments import document_of, from_document
from snakegym.training.benchmark.config import BenchmarkConfig
from snakegym.training.cli import COMMANDS, parse
from snakegym.training.cluster.commands.config import (
    MigrateConfig,
    NodeConfig,
    NodesConfig,
    ProcessesConfig,
    ServeConfig,
    StopConfig,
    SubmitConfig,
    WatchConfig,
)
from snakegym.training.evaluate.config import EvaluateConfig
from snakegym.training.experiment.config import ExperimentConfig
from snakegym.training.explain.config import ExplainConfig
from snakegym.training.fit.config import FitConfig
from snakegym.training.frameworks.config import CompareConfig
from snakegym.training.learn.config import TrainConfig
from snakegym.training.play.config import PlayConfig
from snakegym.training.report.config import ReportConfig
from snakegym.training.scenarios.config import CheckScenario, ListScenarios, ShowScenario
from snakegym.training.sweep.config import SweepConfig
from snakegym.training.traces.config import (
    ConvertTraces,
    GenerateTraces,
    InspectTraces,
    ListTraces,
    PlotTraces,
)

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


X = Path("x")
ASKED: dict[str, Any] = {
    "train": TrainConfig(out=X, set=("network.nodes=4",), n_envs=2, ppo=Hyperparameters(net_arch=(32, 16))),
    "evaluate": EvaluateConfig(scheduler=("greedy", "random"), out=X, episodes=3, stochastic=True),
    "explain": ExplainConfig(run=("a-0", "a-1"), out=X, episodes=3, repetitions=2),
    "play": PlayConfig(scenario="tidal", fps=1.0, out=Path("x.gif")),
    "report": ReportConfig(results=(Path("a"), Path("b")), target=0.5),
    "compare": CompareConfig(out=X, preset="smoke", set=("network.nodes=4",), tf32=True, cycles=3),
    "benchmark": BenchmarkConfig(scheduler=("greedy", "milp"), out=X, scenario=("tidal", "storm"), seed=3),
    "experiment": ExperimentConfig("interruption", X, seeds=3),
    "fit": FitConfig("default", out="x.json", again=True),
    "sweep": SweepConfig(file="ppo", out=X, trials=3),
    "scenarios": ListScenarios(),
    "scenarios list": ListScenarios(),
    "scenarios check": CheckScenario(
        ("tidal", "storm"), episodes=2, split="validation", markdown=Path("x.md")
    ),
    "scenarios show": ShowScenario("tidal"),
    "traces list": ListTraces("folder", match="a*", split="test"),
    "traces inspect": InspectTraces(folder="folder", gap_s=3.0, missing_direction="same"),
    "traces convert": ConvertTraces("folder", out=X, skip_bad_traces=True),
    "traces plot": PlotTraces(folder="folder", out=Path("x.png"), uplink_ratio=0.5),
    "traces generate": GenerateTraces(out=X, links=3),
    "serve": ServeConfig(port=0, pace=0.5, trust=True, certificate=X, key=X),
    "node": NodeConfig(name="phone-3", data=X, slots=2, throttle=2.0),
    "submit": SubmitConfig(file="tidal", scheduler="greedy", seed=3, watch=True),
    "processes": ProcessesConfig(service="tidal", token=X),
    "nodes": NodesConfig(provider="https://there"),
    "watch": WatchConfig(process="tidal-1", since=3),
    "stop": StopConfig(process="tidal-1"),
    "migrate": MigrateConfig(process="tidal-1", machine="there"),
}


def test_no_command_is_forgotten_here() -> None:
    assert ASKED.keys() == COMMANDS.keys()
    assert {type(asked) for asked in ASKED.values()} == set(COMMANDS.values())


@pytest.mark.parametrize("words", ASKED)
def test_every_command_takes_its_options_from_a_file(tmp_path: Path, words: str) -> None:
    path = tmp_path / "options.yaml"
    path.write_text(json.dumps(document_of(ASKED[words])))
    assert parse([*words.split(), "--config", str(path)]) == ASKED[words]


@pytest.mark.parametrize("words", ASKED)
def test_no_command_takes_an_option_that_it_does_not_know(snakegym: Run, tmp_path: Path, words: str) -> None:
    (tmp_path / "a.yaml").write_text("colour: red")
    status, _, err = snakegym(*words.split(), "--config", "a.yaml")
    assert status == 2
    assert err.startswith("error: a.yaml: unknown option 'colour'")
    assert [p.name for p in tmp_path.iterdir()] == ["a.yaml"]


SHORTEST = (
    *("--timesteps=16", "--n-steps=16", "--batch-size=16", "--n-epochs=1", "--eval-every=16"),
    "--eval-episodes=1",
)
FOLDERS: dict[str, tuple[str, ...]] = {
    "train": ("--scenario=tiny.yaml", *SHORTEST, "--wandb=disabled"),
    "evaluate": ("--scenario=tiny.yaml", "--scheduler=random", "--episodes=1", "--jobs=1"),
    "benchmark": (
        "--scenario=tiny.yaml",
        "--scheduler=random",
        "--one=most-data",
        "--episodes=1",
        "--jobs=1",
    ),
    "explain": ("random", "--scenario=tiny.yaml", "--baseline=serpentine", "--episodes=1"),
    "compare": ("--scenario=tiny.yaml", "--frameworks=fedavg", "--cycles=1", "--jobs=1"),
    "experiment": ("interruption", "--seeds=2", "--cycles=1"),
    "sweep": ("sweep.yaml", "--fresh-seeds=0", "--workers=1", "--wandb=disabled"),
    "traces generate": ("--links=1", "--computes=1"),
    "traces convert": ("traces",),
}
"""The smallest use of every command that leaves a folder."""
FILES = {"play", "report", "fit", "traces plot", "scenarios check"}
"""Commands that leave single files."""


def test_no_command_that_leaves_a_folder_is_forgotten_here() -> None:
    writing = {w for w, c in COMMANDS.items() if {"out", "markdown"} & {field.name for field in fields(c)}}
    assert writing == FOLDERS.keys() | FILES


@pytest.mark.parametrize("words", FOLDERS)
def test_a_folder_says_how_it_was_asked_for(snakegym: Run, tiny: str, tmp_path: Path, words: str) -> None:
    train = ["snakegym", "train", f"--scenario={tiny}", *SHORTEST, "${args}"]
    sweep = {"command": train, "method": "grid", "parameters": {"gamma": {"values": [0.5]}}}
    (tmp_path / "sweep.yaml").write_text(json.dumps(sweep))
    (tmp_path / "traces" / "link").mkdir(parents=True)
    (tmp_path / "traces" / "link" / "a.csv").write_text("time_s,uplink_mbps,downlink_mbps\n0,1,2\n1,3,4\n")
    command = [*words.split(), *FOLDERS[words], "--out", "out"]
    status, _, err = snakegym(*command)
    assert status == 0, err
    assert (tmp_path / "out" / "command.txt").read_text().strip()
    again = parse([*words.split(), "--config", "out/config.yml", "--out", "out"])
    asked = document_of(parse(command))
    assert {name: document_of(again).get(name) for name in asked if name != "jobs"} == {
        name: value for name, value in asked.items() if name != "jobs"
    }
    if "traces" in words:
        status, _, err = snakegym("traces", "list", "out")
        assert (status, err) == (0, ""), "its files are all there is to be read"


@pytest.mark.parametrize(
    "given", [["c"], ["--target", "0.5", "c"], ["c", "--out=x.html"], ["--out", "x.html", "--", "c"]]
)
def test_places_on_the_command_line_count_more_as_well(tmp_path: Path, given: list[str]) -> None:
    (tmp_path / "a.yaml").write_text("results: [a, b]")
    command = parse(["report", "--config", str(tmp_path / "a.yaml"), *given])
    assert isinstance(command, ReportConfig)
    assert command.results == (Path("c"),)


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
    words = from_document({"network": {"nodes": 4}, "ppo": {"gamma": 0.5}}, "a.yaml", TrainConfig, [])
    assert words == ["--network={'nodes': 4}", "--gamma=0.5"]
