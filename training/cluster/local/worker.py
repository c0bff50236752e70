"""A process of the operating system in which one training process runs, as its host tells it."""

from __future__ import annotations

import os
import platform
import signal
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from snakegym.control.service import load_service
from snakegym.training.cluster.description import ServiceDescription
from snakegym.training.cluster.local.attended import Leave, attended
from snakegym.training.cluster.local.course import Course
from snakegym.training.cluster.stages.stage import SimulatedStage

ORPHAN_S = 60.0
NICENESS = 5
"""Answers of the provider on the same machine come first."""


def work(folder: Path, document: dict[str, Any], nodes: Sequence[str], pace: float, line: Connection) -> None:
    """Run a process to its end, or until the host or its line is gone.

    Args:
        folder: of the process.
        document: the service.
        nodes: leased.
        pace: seconds to be taken for a simulated one; 0: as fast as it goes.
        line: to the host, which sends (`lease`, nodes), (`stop`, reason) or (`leave`,).
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the provider, which then tells us
    torch.set_num_threads(1)
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    with attended(folder, ORPHAN_S) as keeper:
        service = ServiceDescription.model_validate(document)
        stage = SimulatedStage(load_service(service.plan(), service.split), service.seed)
        course = Course(service, stage, keeper, nodes, f"{platform.node()}/{os.getpid()}")
        _run(course, pace, line)


def _run(course: Course, pace: float, line: Connection) -> None:
    stopped = ""
    while not course.ended and not stopped:
        stopped = _heed(course, line, 0.0)
        if not stopped:
            taken = course.step()
            stopped = _heed(course, line, 0.0 if course.ended else pace * taken)
    course.end(stopped)


def _heed(course: Course, line: Connection, seconds: float) -> str:
    """Do what the host says within that time; the reason to stop, if it gives one."""
    until = time.monotonic() + seconds
    try:
        while line.poll(max(0.0, until - time.monotonic())):
            word, *more = line.recv()
            if word == "stop":
                return str(more[0])
            if word == "leave":
                raise Leave
            course.lease(more[0])
    except (EOFError, OSError):
        raise Leave from None
    return ""
