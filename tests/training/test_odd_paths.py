"""Paths as they come: every command answers each that it cannot use with one line, at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

Run = Callable[..., tuple[int, str, str]]

LONG = "x" * 300
INPUTS = ("", "~nouser", "pipe", "file", "/dev/zero", "missing", "empty", LONG)
OUTPUTS = ("pipe", "file", "file/below", LONG, "/dev/null", "/proc/nothing", "own")
EVALUATE = ("evaluate", "--episodes", 1, "--jobs", 1)
RULE = ("--scheduler", "random")
TRAIN = ("train", "--timesteps", 16, "--wandb", "disabled")
EXPERIMENT = ("experiment", "interruption", "--seeds", 2, "--cycles", 1)
COMPARE = ("compare", "--cycles", 1, "--seeds", 0, "--jobs", 1, "--frameworks", "fedavg")
TINY = ("--scenario", "tiny.yaml")
OUT = ("--out", "out")

READING = (
    [(*EVALUATE, *RULE, *TINY, *OUT, "--traces", path) for path in INPUTS]
    + [(*TRAIN, *TINY, *OUT, "--traces", path) for path in INPUTS[:4]]
    + [("scenarios", "check", "tiny.yaml", "--traces", path) for path in INPUTS[:4]]
    + [(*EVALUATE, *RULE, *OUT, "--scenario", path) for path in (*INPUTS, "pipe.yaml")]
    + [(*TRAIN, *OUT, "--scenario", path) for path in INPUTS[:4]]
    + [("scenarios", "check", path) for path in INPUTS[:4]]
    + [("scenarios", "show", path) for path in (*INPUTS, "pipe.yaml", "zero.yaml")]
    + [("traces", "generate", *OUT, "--scenario", path) for path in INPUTS[:4]]
    + [(*EVALUATE, *TINY, *OUT, "--scheduler", path) for path in (*INPUTS, "own", "pipe:x", "file:x")]
    + [("report", path, *OUT) for path in INPUTS[:-1]]
)
WRITING = (
    [(*EVALUATE, *RULE, *TINY, "--out", path) for path in OUTPUTS]
    + [(*TRAIN, *TINY, "--out", path) for path in OUTPUTS]
    + [(*EXPERIMENT, "--out", path) for path in OUTPUTS]
    + [(*COMPARE, "--out", path) for path in OUTPUTS]
    + [("traces", "generate", "--out", path) for path in OUTPUTS]
)


@pytest.fixture(autouse=True)
def odd_things(tmp_path: Path, tiny: str) -> Iterator[None]:
    """What the paths name, and an alarm for what would wait for ever."""
    for pipe in ("pipe", "pipe.yaml"):
        os.mkfifo(tmp_path / pipe)
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    (tmp_path / "file").write_text("x\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "thesis.tex").write_text("precious")

    def too_long(number: int, frame: FrameType | None) -> None:
        raise TimeoutError("it waits for something")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def name(command: tuple[object, ...]) -> str:
    return " ".join(str(part) if len(str(part)) < 50 else "long" for part in command)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no /dev/zero")
@pytest.mark.parametrize("command", [*READING, *WRITING], ids=name)
def test_a_path_that_is_of_no_use_is_one_line(
    snakegym: Run, tmp_path: Path, command: tuple[object, ...]
) -> None:
    def everything() -> set[str]:
        return {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")}

    before = everything()
    status, _, err = snakegym(*command)
    assert (status, err[:7], err.count("\n")) == (2, "error: ", 1), err
    assert everything() == before, "nothing is left behind"
