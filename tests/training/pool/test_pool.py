"""What every pool keeps, as a command uses it; what tasks do stands in `works.py`, where workers find it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from snakegym.training.pool.processes import Processes

HERE = Path(__file__).parent
Start = Callable[..., subprocess.Popen[str]]
Heed = Callable[[], None]
POOLS = ["processes", pytest.param("ray", marks=pytest.mark.ray)]
BOTH = pytest.mark.parametrize("kind", POOLS, indirect=True)


class Kind:
    """A pool: where it is, and who is at work in it."""

    def __init__(self, name: str, nodes: Any) -> None:
        self.name, self.nodes = name, nodes
        self.address = "" if nodes is None else nodes.address

    def wait_for_end(self, parent: int, seconds: float, sessions: Any) -> list[int]:
        """Processes that are left of the command, or at its tasks, after so many seconds still."""
        until = time.monotonic() + seconds
        while (left := sessions.running(parent) + (self.nodes.at_work() if self.nodes else [])) and (
            time.monotonic() < until
        ):
            time.sleep(0.05)
        return list(left)


@pytest.fixture(scope="module")
def kind(request: pytest.FixtureRequest) -> Kind:
    return Kind(request.param, request.getfixturevalue("ray_nodes") if request.param == "ray" else None)


def command(folder: Path, kind: Kind, heed_ctrl_c: Heed, *arguments: str) -> subprocess.Popen[str]:
    """The script in a session of its own."""
    return subprocess.Popen(
        [sys.executable, str(HERE / "works.py"), kind.address, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(HERE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed_ctrl_c,
    )


@pytest.fixture
def notes(kind: Kind, tmp_path: Path) -> Path:
    """The folder in which the script runs and its tasks leave notes."""
    if kind.nodes is None:
        return tmp_path
    folder = kind.nodes.folder / tmp_path.name
    folder.mkdir()
    return Path(folder)


@pytest.fixture
def start(kind: Kind, notes: Path, sessions: Any, heed_ctrl_c: Heed) -> Iterator[Start]:
    """Start the script; what is left of it at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> subprocess.Popen[str]:
        started.append(command(notes, kind, heed_ctrl_c, *arguments))
        return started[-1]

    yield begin
    for parent in started:
        sessions.kill(parent.pid)
        parent.communicate()


def wait_for(pattern: str, count: int, folder: Path) -> None:
    until = time.monotonic() + 120
    while len(list(folder.glob(pattern))) < count:
        assert time.monotonic() < until, f"no {pattern}"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def said(kind: Kind, tmp_path_factory: pytest.TempPathFactory, heed_ctrl_c: Heed) -> tuple[list[str], str]:
    """Lines that one command printed, as its start takes seconds, and its errors."""
    folder = tmp_path_factory.mktemp(kind.name) if kind.nodes is None else kind.nodes.folder
    kinds = ("square", "fail", "Unreadable", "die_once", "threads", "square")
    parent = command(folder, kind, heed_ctrl_c, *kinds)
    out, err = parent.communicate(timeout=300)
    return out.splitlines(), err


@BOTH
class TestOneAfterTheOther:
    """What one command is told to do."""

    def test_every_task_has_its_result_and_answers(self, said: tuple[list[str], str]) -> None:
        assert said[0][0] == "square [0, 1, 4, 9] [100, 101, 102, 103] False"

    def test_what_goes_wrong_in_a_worker_is_one_clear_error(self, said: tuple[list[str], str]) -> None:
        assert said[0][1:3] == ["fail error: file x: bad", "Unreadable error: file x: bad"]

    def test_what_a_killed_worker_was_at_is_done_again(self, said: tuple[list[str], str]) -> None:
        assert said[0][3] == "die_once [0, 1, 4, 9] [100, 101, 102, 103] False"
        assert said[1].splitlines() == ["a worker died: what it was at is done again"]

    def test_torch_has_the_threads_it_is_given(self, said: tuple[list[str], str]) -> None:
        assert said[0][4] == "threads [3, 3, 3, 3] [None, None, None, None] False"

    def test_a_pool_serves_one_use_after_another(self, said: tuple[list[str], str]) -> None:
        assert said[0][5] == said[0][0]


@BOTH
@pytest.mark.slow
def test_a_task_that_always_kills_its_worker_is_given_up(kind: Kind, start: Start, sessions: Any) -> None:
    parent = start("die")
    out, err = parent.communicate(timeout=120)
    assert re.fullmatch(r"die error: 4 times .* \(out of memory\?\): what is finished is kept, .*\n", out)
    assert set(err.splitlines()) == {"a worker died: what it was at is done again"}
    assert kind.wait_for_end(parent.pid, 60, sessions) == []


@BOTH
@pytest.mark.parametrize("task", ["sleep", "compute"])
def test_workers_end_with_a_killed_parent(
    kind: Kind, start: Start, notes: Path, task: str, sessions: Any
) -> None:
    parent = start(task)
    wait_for("began-*", 2, notes)
    os.kill(parent.pid, signal.SIGKILL)
    assert kind.wait_for_end(parent.pid, 60, sessions) == []


@BOTH
def test_tasks_are_told_when_they_are_not_wanted_any_more(
    kind: Kind, start: Start, notes: Path, sessions: Any
) -> None:
    parent = start("report", "--leave")
    out, err = parent.communicate(timeout=120)
    assert (out, err) == ("report error: left\n", "")
    assert len(list(notes.glob("stopped-*"))) == len(list(notes.glob("began-*"))) >= 2
    assert kind.wait_for_end(parent.pid, 60, sessions) == []


@BOTH
def test_tasks_that_do_not_listen_are_ended(kind: Kind, start: Start, notes: Path, sessions: Any) -> None:
    parent = start("sleep", "--leave")
    wait_for("began-*", 2, notes)
    out, err = parent.communicate(timeout=120)
    assert (out, err) == ("sleep error: left\n", "")
    assert kind.wait_for_end(parent.pid, 60, sessions) == []


@BOTH
def test_ctrl_c_goes_to_the_parent_alone(kind: Kind, start: Start, notes: Path, sessions: Any) -> None:
    parent = start("sleep")
    wait_for("began-*", 2, notes)
    os.killpg(parent.pid, signal.SIGINT)
    out, err = parent.communicate(timeout=120)
    assert out == ""
    assert err.count("Traceback") == 1, "the parent's alone, which this script does not catch"
    assert kind.wait_for_end(parent.pid, 60, sessions) == []


@pytest.mark.parametrize("kind", ["processes"], indirect=True)
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_workers_that_still_load_end_with_their_parent(
    start: Start, end: signal.Signals, sessions: Any
) -> None:
    parent = start("sleep")
    until = time.monotonic() + 60
    while len(sessions.running(parent.pid)) < 3:  # parent, resource tracker, worker
        assert time.monotonic() < until
        time.sleep(0.01)
    os.killpg(parent.pid, end) if end == signal.SIGINT else os.kill(parent.pid, end)
    parent.communicate(timeout=120)
    assert sessions.wait_for_end(parent.pid, 60) == []


def test_one_process_works_here_in_order() -> None:
    heard: list[int] = []

    def work(task: int, say: Callable[[int], None]) -> int:
        say(task)
        return task**2

    with Processes().working(work, [3, 1, 2], 1, heard=heard.append) as done:
        assert list(done) == [(3, 9), (1, 1), (2, 4)]
    assert heard == [3, 1, 2]


def test_the_number_of_processes() -> None:
    width = Processes().width
    assert width(8, 3) == 3, "never more than tasks"
    assert width(8, 0) == 1
    assert width(7, 100, 50) == 7, "as asked"
    assert width(None, 39, 20) == 1, "a process takes seconds to start"
    assert 1 <= width(None, 1000, 20) <= 4
