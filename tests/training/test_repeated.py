"""An option that takes one value is given once, in every command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import get_args

import pytest

from snakegym.errors import SnakegymError
from snakegym.training.cli import Command
from snakegym.training.cluster.commands.config import CLUSTER_COMMANDS
from snakegym.training.evaluate.config import EvaluateConfig
from snakegym.training.learn.config import TrainConfig
from snakegym.training.repeated import refuse_repeated
from snakegym.training.traces.config import (
    ConvertTraces,
    GenerateTraces,
    InspectTraces,
    ListTraces,
    PlotTraces,
)

Run = Callable[..., tuple[int, str, str]]
TRACES = (ConvertTraces, GenerateTraces, InspectTraces, ListTraces, PlotTraces)
COMMANDS = (*get_args(Command), *TRACES, *CLUSTER_COMMANDS.values())
MAY_REPEAT = {
    ("EvaluateConfig", "scheduler"),
    ("EvaluateConfig", "set"),
    ("CompareConfig", "set"),
    ("ExplainConfig", "set"),
    ("TrainConfig", "set"),
    ("BenchmarkConfig", "scheduler"),
    ("BenchmarkConfig", "scenario"),
}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_every_option_but_those_that_collect_is_refused_twice(command: type) -> None:
    for field in fields(command):
        option = f"--{field.name.replace('_', '-')}"
        arguments = [option, "a", option, "b"]
        if (command.__name__, field.name) in MAY_REPEAT:
            refuse_repeated(arguments, command)
        else:
            with pytest.raises(SnakegymError, match=f"{option}: found it twice"):
                refuse_repeated(arguments, command)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--n-envs", "1", "--n_envs", "2"],
        ["--n-envs=1", "--n-envs", "1"],
        ["--resume", "--no-resume"],
        ["--learning-rate", "1", "--out", "x", "--learning-rate", "2"],
    ],
)
def test_spellings_of_one_option_are_the_same(arguments: list[str]) -> None:
    with pytest.raises(SnakegymError, match="twice"):
        refuse_repeated(arguments, TrainConfig)


def test_values_and_what_follows_two_dashes_are_no_options() -> None:
    refuse_repeated(["--scenario", "a", "a", "-", "--", "--scenario"], EvaluateConfig)


def test_the_command_line_says_so_and_leaves_nothing(snakegym: Run, tmp_path) -> None:
    status, _, err = snakegym("train", "--out", "out", "--scenario", "default", "--scenario", "tidal")
    assert (status, err) == (2, "error: --scenario: found it twice, expected each option once\n")
    assert not (tmp_path / "out").exists()
