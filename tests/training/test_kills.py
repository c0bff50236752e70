"""A few real kills; `make kills` does many."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc to look for processes in")
@pytest.mark.parametrize("command", ["evaluate", "benchmark", "experiment", "compare", "convert", "train"])
def test_a_killed_command_ends_with_the_numbers_of_an_undisturbed_one(command: str) -> None:
    script = Path(__file__).parents[1] / "kills.py"
    run = subprocess.run(
        [sys.executable, script, command, "--kills", "2", "--chain", "2"], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert "the numbers of an undisturbed run" in run.stdout
