"""The whole of it on this machine: two nodes in namespaces, and nothing left of them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("ray")

from snakegym.training.cluster.fidelity.laboratory import HOME, LOCK, PREFIX
from snakegym.training.cluster.fidelity.quota import GROUP, ROOT

MODULE = "snakegym.training.cluster.fidelity"
SMALL = ["--nodes", "2", "--hops", "3", "--seed", "7", "--scheduler", "serpentine"]
WAIT_S, END_S = 60.0, 30.0


def lacking() -> str:
    """What is missing to make namespaces with shaped links."""
    for tool in ("ip", "tc", "nsenter"):
        if shutil.which(tool) is None:
            return f"no {tool}"
    if os.geteuid() != 0:
        return "not root"
    name = f"sg-try-{os.getpid()}"
    shape = ["tc", "-n", name, "qdisc", "add", "dev", "lo", "root", "tbf", "rate", "1mbit", "burst", "4kb"]
    try:
        for command in (["ip", "netns", "add", name], [*shape, "limit", "64kb"]):
            if subprocess.run(command, capture_output=True, check=False).returncode:
                return f"{command[0]} may not {' '.join(command[1:4])}"
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return ""


LACKING = lacking() if sys.platform == "linux" else "not Linux"
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(bool(LACKING), reason=f"network namespaces with shaped links: {LACKING}"),
]


def left() -> list[str]:
    """What is there of ours: namespaces, groups, files."""
    names = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    groups = [top for top, _, _ in os.walk(ROOT) if Path(top).name == GROUP]
    return (
        [n for n in names.split() if n.startswith(PREFIX)] + groups + [str(p) for p in (HOME,) if p.exists()]
    )


@pytest.fixture
def nobody_else() -> None:
    """Skips where another program of the kind goes on and on, on the same machine."""
    with LOCK.open("w") as file:
        until = time.monotonic() + WAIT_S
        while time.monotonic() < until:
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            time.sleep(0.5)
    pytest.skip("another one is at work on this machine")


@pytest.mark.usefixtures("nobody_else")
def test_a_real_process_and_a_simulated_one_agree_and_nothing_is_left(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", MODULE, str(tmp_path / "out"), *SMALL],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert left() == []
    (found,) = json.loads((tmp_path / "out" / "fidelity.json").read_text()).values()
    assert len(found["pairs"]) == 3
    for pair in found["pairs"]:
        assert pair["n_bytes"][0] == pair["n_bytes"][1]
        assert pair["metric"][0] == pair["metric"][1], "the same model, bit by bit"
    assert sum(pair["n_bytes"][1] > 0 for pair in found["pairs"]) == 3
    simulated, real = (sum(pair["transfer_s"][i] for pair in found["pairs"]) for i in (0, 1))
    assert simulated == pytest.approx(real, rel=0.3), "links are shaped, whatever else the machine does"
    assert found["wire_bytes"] > sum(pair["n_bytes"][1] for pair in found["pairs"][1:])
    assert (tmp_path / "out" / "fidelity.png").stat().st_size > 10_000
    assert "serpentine" in (tmp_path / "out" / "fidelity.md").read_text()


@pytest.mark.usefixtures("nobody_else")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_nothing_is_left_of_one_that_was(
    tmp_path: Path, how: signal.Signals, heed_ctrl_c: Callable[[], None]
) -> None:
    command = subprocess.Popen(
        [sys.executable, "-m", MODULE, str(tmp_path / "out"), *SMALL],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,
    )
    try:
        assert command.stdout is not None
        assert "are started" in command.stdout.readline()
        assert left() != []
        command.send_signal(how)
        command.wait(END_S)
        until = time.monotonic() + END_S
        while left():
            assert time.monotonic() < until, left()
            time.sleep(0.1)
    finally:
        command.kill()
        command.communicate()
