"""The pool as a command uses it; tasks in processes stand in a script, where these find them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from snakegym.training.runs.pool import n_processes, working

SCRIPT = """
import os, sys, time
from pathlib import Path
from snakegym.errors import SnakegymError
from snakegym.training.runs.pool import Stopped, working

def note(what):
    Path(f"{what}-{os.getpid()}").touch()

def square(task, say):
    say(task)
    return task**2, os.getpid()

def threads(task, say):
    import torch
    return torch.get_num_threads(), os.getpid()

def sleep(task, say):
    note("began")
    time.sleep(600)

def compute(task, say):
    note("began")
    while True:
        pass

def report(task, say):
    note("began")
    try:
        while True:
            time.sleep(0.01)
            say(task)
    except Stopped:
        note("stopped")

def die(task, say):
    os.kill(os.getpid(), 9)

def fail(task, say):
    raise SnakegymError("file x: bad")

class Unreadable:
    def __call__(self, task, say): ...
    def __reduce__(self):
        return fail, (0, 0)

def main():
    work, leave = globals()[sys.argv[1]], sys.argv[2:] == ["leave"]
    heard, results = [], {}
    try:
        threads = 3 if sys.argv[1] == "threads" else None
        work = work() if isinstance(work, type) else work
        with working(work, range(4), 2, heard=heard.append, threads=threads) as done:
            if leave:
                while len(list(Path().glob("began-*"))) < 2:
                    time.sleep(0.01)
                raise SnakegymError("left")
            results.update(done)
    except SnakegymError as error:
        print("error:", error)
    else:
        values, workers = zip(*[results[i] for i in range(4)])
        print(values, os.getpid() in workers, sorted(heard))

if __name__ == "__main__":
    main()
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path, sessions: Any) -> Iterator[Start]:
    """Start the script in a session of its own; what is left of it at the end is killed."""
    (tmp_path / "script.py").write_text(SCRIPT)
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> subprocess.Popen[str]:
        parent = subprocess.Popen(
            [sys.executable, "script.py", *arguments],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
        )
        started.append(parent)
        return parent

    yield begin
    for parent in started:
        sessions.kill(parent.pid)
        parent.communicate()


def wait_for(pattern: str, count: int, folder: Path) -> None:
    until = time.monotonic() + 120
    while len(list(folder.glob(pattern))) < count:
        assert time.monotonic() < until, f"no {pattern}"
        time.sleep(0.02)


def test_processes_give_every_result_and_message(start: Start) -> None:
    assert start("square").communicate(timeout=120) == ("(0, 1, 4, 9) False [0, 1, 2, 3]\n", "")


@pytest.mark.slow
def test_torch_has_the_threads_it_is_given(start: Start) -> None:
    assert start("threads").communicate(timeout=120) == ("(3, 3, 3, 3) False []\n", "")


@pytest.mark.parametrize("task", ["sleep", "compute"])
def test_workers_end_with_a_killed_parent(start: Start, tmp_path: Path, task: str, sessions: Any) -> None:
    parent = start(task)
    wait_for("began-*", 2, tmp_path)
    assert len(sessions.running(parent.pid)) >= 3
    os.kill(parent.pid, signal.SIGKILL)
    assert sessions.wait_for_end(parent.pid, 10) == []


def test_workers_end_with_a_parent_killed_while_they_load(start: Start, sessions: Any) -> None:
    parent = start("sleep")
    until = time.monotonic() + 60
    while len(sessions.running(parent.pid)) < 3:  # parent, resource tracker, worker
        assert time.monotonic() < until
        time.sleep(0.01)
    os.kill(parent.pid, signal.SIGKILL)
    assert sessions.wait_for_end(parent.pid, 60) == []


@pytest.mark.parametrize(
    ("work", "message"),
    [
        ("die", "a worker process died (out of memory?): what is finished is kept, try again with --jobs 1"),
        ("fail", "file x: bad"),
        ("Unreadable", "file x: bad"),
    ],
)
def test_what_goes_wrong_in_a_worker_is_one_clear_error(
    start: Start, work: str, message: str, sessions: Any
) -> None:
    parent = start(work)
    out, err = parent.communicate(timeout=120)
    assert (out, err) == (f"error: {message}\n", "")
    assert sessions.wait_for_end(parent.pid, 10) == []


def test_tasks_are_told_when_they_are_not_wanted_any_more(
    start: Start, tmp_path: Path, sessions: Any
) -> None:
    parent = start("report", "leave")
    out, err = parent.communicate(timeout=120)
    assert (out, err) == ("error: left\n", "")
    assert len(list(tmp_path.glob("stopped-*"))) == 2
    assert sessions.wait_for_end(parent.pid, 10) == []


def test_tasks_that_do_not_listen_are_ended(start: Start, tmp_path: Path, sessions: Any) -> None:
    parent = start("sleep", "leave")
    wait_for("began-*", 2, tmp_path)
    out, err = parent.communicate(timeout=30)
    assert (out, err) == ("error: left\n", "")
    assert sessions.wait_for_end(parent.pid, 10) == []


@pytest.mark.parametrize("loading", [True, False])
def test_ctrl_c_goes_to_the_parent_alone(start: Start, tmp_path: Path, loading: bool, sessions: Any) -> None:
    parent = start("sleep")
    if loading:
        while len(sessions.running(parent.pid)) < 4:
            time.sleep(0.01)
    else:
        wait_for("began-*", 2, tmp_path)
    os.killpg(parent.pid, signal.SIGINT)
    out, err = parent.communicate(timeout=60)
    assert out == ""
    assert err.count("Traceback") == 1, "the parent's alone, which this script does not catch"
    assert sessions.wait_for_end(parent.pid, 10) == []


def test_one_process_works_here_in_order() -> None:
    heard: list[int] = []

    def work(task: int, say: Callable[[int], None]) -> int:
        say(task)
        return task**2

    with working(work, [3, 1, 2], 1, heard=heard.append) as done:
        assert list(done) == [(3, 9), (1, 1), (2, 4)]
    assert heard == [3, 1, 2]


def test_the_number_of_processes() -> None:
    assert n_processes(8, 3) == 3, "never more than tasks"
    assert n_processes(8, 0) == 1
    assert n_processes(7, 100, 50) == 7, "as asked"
    assert n_processes(None, 39, 20) == 1, "a process takes seconds to start"
    assert 1 <= n_processes(None, 1000, 20) <= 4
