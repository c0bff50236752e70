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
    + [("traces", "list", path) for path in INPUTS]
    + [("traces", "inspect", path) for path in INPUTS]
    + [("traces", "plot", path, "--out", "out.png") for path in INPUTS]
    + [("traces", "convert", path, *OUT) for path in INPUTS]
    + [("play", "tiny.yaml", "--out", "out.gif", "--traces", path) for path in INPUTS]
    + [("play", path, "--out", "out.gif") for path in (*INPUTS, "pipe.yaml", "zero.yaml")]
    + [("report", path, *OUT) for path in INPUTS]
)
GIFS = ("file/below.gif", f"{LONG}.gif", "/proc/nothing.gif", "folder.gif", "", "own")
PNGS = ("file/below.png", f"{LONG}.png", "/proc/nothing.png", "folder.png", "", "own")
WRITING = (
    [(*EVALUATE, *RULE, *TINY, "--out", path) for path in OUTPUTS]
    + [(*TRAIN, *TINY, "--out", path) for path in OUTPUTS]
    + [(*EXPERIMENT, "--out", path) for path in OUTPUTS]
    + [(*COMPARE, "--out", path) for path in OUTPUTS]
    + [("traces", "generate", "--out", path) for path in OUTPUTS]
    + [("traces", "convert", "traces", "--out", path) for path in OUTPUTS]
    + [("traces", "plot", "traces", "--out", path) for path in PNGS]
    + [("play", "tiny.yaml", "--out", path) for path in GIFS]
)


@pytest.fixture(autouse=True)
def odd_things(tmp_path: Path, tiny: str) -> Iterator[None]:
    """What the paths name, and an alarm for what would wait for ever."""
    for pipe in ("pipe", "pipe.yaml"):
        os.mkfifo(tmp_path / pipe)
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    (tmp_path / "file").write_text("x\n")
    for folder in ("empty", "folder.gif", "folder.png", "traces"):
        (tmp_path / folder).mkdir()
    (tmp_path / "traces" / "a.csv").write_text("time_s,downlink_mbps\n0,1\n1,2\n2,3\n")
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


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no /dev/zero")
@pytest.mark.parametrize("command", ["list", "inspect", "plot", "convert"])
def test_files_without_an_end_are_left_out_of_a_folder(
    snakegym: Run, tmp_path: Path, recwarn: pytest.WarningsRecorder, command: str
) -> None:
    os.mkfifo(tmp_path / "traces" / "b.csv")
    (tmp_path / "traces" / "c.csv").symlink_to("/dev/zero")
    options = {"plot": ("--out", "out.png"), "convert": ("--out", "out", "--skip-bad-traces")}
    status, out, err = snakegym("traces", command, "traces", *options.get(command, ()))
    assert status == 0, err
    said = " ".join([out, err, *(str(warning.message) for warning in recwarn)])
    for name in ("b.csv", "c.csv"):
        assert f"{name}: found a folder, device or pipe, expected a regular file" in said


@pytest.mark.parametrize(
    ("option", "value"),
    [("uplink-ratio", "1e308"), ("gap-s", "1e308"), ("match", ""), ("format", ""), ("format", "a\nb")],
)
def test_a_value_that_no_scenario_could_have_is_named(snakegym: Run, option: str, value: str) -> None:
    status, _, err = snakegym("traces", "inspect", "traces", f"--{option}", value)
    assert (status, err.count("\n")) == (2, 1), err
    assert err.startswith(f"error: --{option}: found ")


def test_a_cache_in_the_home_of_nobody_is_none(snakegym: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAKEGYM_CACHE", "~nouser")
    status, out, err = snakegym("traces", "list", "traces")
    assert (status, err) == (0, "")
    assert "a" in out
