"""A node's link is cut for a while: a hop is given up, the node is left out, and taken again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.cluster
SCRIPT = Path(__file__).parents[3] / "cluster_cut.py"


def namespaces() -> str:
    """Why there can be none; empty if there can."""
    if shutil.which("ip") is None:
        return "there is no `ip` here"
    name = f"snakegym-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    subprocess.run(["ip", "netns", "delete", name], capture_output=True)
    return made.stderr.strip()


@pytest.mark.parametrize("mode", ["p2p", "cs"])
def test_a_node_that_is_cut_off_is_left_out_and_taken_again(mode: str) -> None:
    if why := namespaces():
        pytest.skip(f"no network namespaces: {why}")
    command = [sys.executable, str(SCRIPT), "--seconds", "12", "--mode", mode]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr[-2000:]
    assert found.stdout.count("out of the pool") == 2
    assert f"{mode}: 0 hops lost" in found.stdout
