"""Measures, simulates, compares; see the package. What is measured already is only reported again."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import NoReturn

import torch

from snakegym.errors import SnakegymError
from snakegym.training.cluster.fidelity.laboratory import HUB, check_machine, laboratory, within
from snakegym.training.cluster.fidelity.plan import read_command
from snakegym.training.cluster.fidelity.records import Measured
from snakegym.training.cluster.fidelity.report import report
from snakegym.training.runs.folder import locked, make_folder

END_S = 20.0


def main(words: Sequence[str]) -> None:
    """Measure what the folder lacks, then write tables and pictures of all of it."""
    out, schedulers, plan = read_command(words)
    if set(schedulers) - set(Measured.read(out, plan).runs):
        check_machine()
        signal.signal(signal.SIGTERM, _stop)  # as Ctrl-C: what was built is removed
        make_folder(out)
        with locked(out), laboratory(plan.nodes):
            _measure(words)
    torch.set_num_threads(1)  # as nodes have: results are then the same bit by bit
    report(Measured.read(out, plan), plan, out)


def _measure(words: Sequence[str]) -> None:
    command = [*within(HUB), sys.executable, "-m", f"{__package__}.inside", *words]
    # Ctrl-C comes to this program alone; the hold of the machine is inherited.
    child = subprocess.Popen(command, start_new_session=True, close_fds=False)
    code = child.wait()
    if code:
        sys.exit(code if code > 0 else 1)


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except SnakegymError as error:
        sys.exit(f"snakegym: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
