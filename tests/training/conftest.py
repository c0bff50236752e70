"""A scenario so small that training and evaluation take seconds."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from snakegym.training.cli import main

TINY = """
name: tiny
summary: three nodes, five hops
data: {dataset: digits, partition: dirichlet, alpha: 0.5}
model: {name: mlp, options: {width: 16, middle: 7}}
learning: {epochs: 1, batch_size: 64, learning_rate: 0.002}
network:
  nodes: 3
  mode: cs
  devices:
    - {name: small, peak_flops: 1.0e+7, memory_bytes: 1.0e+7, compute_power_w: 0.3, radio_power_w: 0.5}
process:
  budget: {time_s: 600, hops: 5}
objective:
  nominal: {time_s: 10, energy_j: 2, n_bytes: 20000}
"""


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    """Path of a small scenario."""
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return str(path)


@pytest.fixture
def snakegym(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process: exit status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WANDB_MODE", raising=False)

    def run(*args: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = 0
        try:
            main([str(a) for a in args])
        except SystemExit as stop:
            status = int(stop.code or 0)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def start_snakegym() -> Callable[..., subprocess.Popen[str]]:
    """Start the command line in a process of its own."""

    def start(*args: object, cwd: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "snakegym.training.cli", *map(str, args)]
        return subprocess.Popen(
            command,
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # Started in the background, a shell's children inherit an ignored Ctrl-C.
            preexec_fn=_heed_ctrl_c,
        )

    return start


class Sessions:
    """Sessions of processes (`start_new_session=True`), named by the process that began them."""

    def __init__(self) -> None:
        if not Path("/proc/self/stat").exists():
            pytest.skip("no /proc to look for processes in")

    def running(self, session: int) -> list[int]:
        """Ids of its processes."""
        found = []
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):  # no process, or it ended meanwhile
                state, _, _, of = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(of) == session and state not in "ZX":
                    found.append(int(folder.name))
        return found

    def wait_for_end(self, session: int, seconds: float) -> list[int]:
        """Those of its processes that run after so many seconds still."""
        until = time.monotonic() + seconds
        while (left := self.running(session)) and time.monotonic() < until:
            time.sleep(0.05)
        return left

    def kill(self, session: int) -> None:
        """End whatever is left of it."""
        for process in self.running(session):
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGKILL)


@pytest.fixture
def sessions() -> Sessions:
    """To see which processes a command has left behind."""
    return Sessions()


@pytest.fixture
def short() -> dict[str, object]:
    """Options of the shortest training: two rollouts, each with an evaluation and a checkpoint."""
    return {
        "--timesteps": 32,
        "--n-steps": 16,
        "--batch-size": 16,
        "--n-epochs": 1,
        "--eval-every": 16,
        "--eval-episodes": 1,
        "--checkpoint-every": 16,
        "--wandb": "disabled",
    }


def _heed_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
