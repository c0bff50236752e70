"""Commands on two Ray nodes that see none of their files: the same results, though a node dies midway."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from snakegym.errors import SnakegymError
from snakegym.training.pool.address import check_address

Run = Callable[..., tuple[int, str, str]]
Start = Callable[..., subprocess.Popen[str]]
pytestmark = pytest.mark.ray
OWN = """
import os, time
from neighbour import pick
from snakegym import Assignment

class Slow:
    def __init__(self, scenario): ...
    def reset(self, seed):
        time.sleep(1.5 if "HIDDEN_FOLDER" in os.environ else 0)  # on the nodes, so that one can die midway
    def schedule(self, view):
        nodes, layers = view.legal.nonzero()
        best = pick(view.nodes.visits[nodes])
        return Assignment(int(nodes[best]), int(layers[best]))
"""


def finished(process: subprocess.Popen[str]) -> str:
    """What it said on standard error, after it ended well."""
    _, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    return err


def wait_until(due: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 400
    while not due():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.02)


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.fixture
def own(tmp_path: Path) -> str:
    """A scheduler of one's own, whose file imports another one; on the nodes it takes its time."""
    (tmp_path / "mine.py").write_text(OWN)
    (tmp_path / "neighbour.py").write_text("def pick(visits):\n    return visits.argmin()\n")
    return "mine.py:Slow"


@pytest.mark.slow
@pytest.mark.painted
@pytest.mark.usefixtures("a_run")
def test_an_evaluation_is_the_same_when_a_node_dies(
    ray_nodes: Any, start_snakegym: Start, snakegym: Run, tiny: str, own: str, tmp_path: Path
) -> None:
    who = [part for spec in ("random", "run", own) for part in ("--scheduler", spec)]
    command = ("evaluate", *who, "--scenario", tiny, "--episodes", 6, "--set", "learning.epochs=2")
    assert snakegym(*command, "--jobs", 1, "--out", "here")[0] == 0
    process = start_snakegym(*command, "--ray", ray_nodes.address, "--out", "there", cwd=tmp_path)
    # Only slow ones are left, and both nodes are at one.
    wait_until(lambda: lines(tmp_path / "there" / "partial.jsonl") >= 12, process)
    wait_until(lambda: len(ray_nodes.at_work()) >= 2, process)
    ray_nodes.tell("kill")
    err = finished(process)
    ray_nodes.tell("add")
    assert "a worker died: what it was at is done again" in err
    for name in ("evaluation.json", "evaluation.csv", "returns.png"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes(), name


@pytest.mark.slow
def test_ctrl_c_leaves_no_process_and_the_same_command_goes_on(
    ray_nodes: Any, start_snakegym: Start, tiny: str, own: str, tmp_path: Path, sessions: Any
) -> None:
    command = ("benchmark", "--scheduler", own, "--one", "greedy", "--scenario", tiny, "--episodes", 5)
    process = start_snakegym(*command, "--ray", ray_nodes.address, "--out", "there", cwd=tmp_path)
    wait_until(lambda: lines(tmp_path / "there" / "pieces" / "tiny.jsonl") > 2, process)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped by Ctrl-C" in err
    assert "are kept, the same command goes on from there" in err
    assert sessions.wait_for_end(process.pid, 10) == []
    assert ray_nodes.at_work() == []
    again = finished(start_snakegym(*command, "--ray", ray_nodes.address, "--out", "there", cwd=tmp_path))
    assert "going on after" in again
    finished(start_snakegym(*command, "--jobs", 1, "--out", "here", cwd=tmp_path))
    for name in ("benchmark.json", "benchmark.csv", "pieces/tiny.jsonl"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes(), name


def is_there(address: str) -> bool:
    try:
        check_address(address)
    except SnakegymError:
        return False
    return True


@pytest.fixture
def client_address(ray_nodes: Any, tmp_path: Path) -> Iterator[str]:
    """Of a server of Ray's client in front of the nodes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ("--host=127.0.0.1", f"--port={port}", f"--address={ray_nodes.address}", "--mode=proxy")
    server = subprocess.Popen(
        [sys.executable, "-m", "ray.util.client.server", *options],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"ray://127.0.0.1:{port}"
    wait_until(lambda: is_there(address), server)
    yield address
    server.kill()
    server.wait()


@pytest.mark.slow
def test_through_a_client_it_is_the_same(
    snakegym: Run, start_snakegym: Start, client_address: str, tiny: str, tmp_path: Path
) -> None:
    command = ("compare", "--scenario", tiny, "--frameworks", "snake-cs", "--seeds", "0,1", "--cycles", 1)
    assert snakegym(*command, "--jobs", 1, "--out", "here")[0] == 0
    finished(start_snakegym(*command, "--ray", client_address, "--out", "there", cwd=tmp_path))

    def timeless(out: str) -> Any:
        text = (tmp_path / out / "compare.json").read_text()
        return json.loads(text, object_hook=lambda data: {k: v for k, v in data.items() if k != "wall_s"})

    assert timeless("here") == timeless("there")


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("127.0.0.1:1", "found no Ray at '127.0.0.1:1': connection refused"),
        ("ray://127.0.0.1:1", "found no Ray at 'ray://127.0.0.1:1': connection refused"),
        ("somewhere", "found 'somewhere', expected local, auto, host:port or ray://host:port"),
    ],
)
def test_where_no_ray_is_nothing_starts(
    snakegym: Run, tiny: str, tmp_path: Path, address: str, found: str
) -> None:
    pytest.importorskip("ray")
    status, out, err = snakegym(
        "evaluate", "--scheduler", "random", "--scenario", tiny, "--out", "out", "--ray", address
    )
    assert (status, out, err) == (2, "", f"error: --ray: {found}\n")
    assert not (tmp_path / "out").exists()


def test_without_ray_it_says_how_to_get_it(
    snakegym: Run, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "snakegym.training.pool.cluster", raising=False)
    status, _, err = snakegym(
        "evaluate", "--scheduler", "random", "--scenario", tiny, "--out", "out", "--ray", "local"
    )
    assert status == 2
    assert err == "error: --ray: found no Ray here, expected it: pip install 'snakegym[ray]' adds it\n"
    assert not (tmp_path / "out").exists()
