"""A process as an actor of Ray: Process Controller and Process Computation Engine, restarted when it dies."""

from __future__ import annotations

import json
import os
import platform
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray

from snakegym.control.service import load_service
from snakegym.documents import parse_json
from snakegym.training.cluster.description import ServiceDescription
from snakegym.training.cluster.local.attended import Leave, attended
from snakegym.training.cluster.local.course import Course
from snakegym.training.cluster.onray.directory import RayNodes
from snakegym.training.cluster.stages.real import RealStage
from snakegym.training.runs.folder import write_text

WISHES = "wishes.json"
RESTARTS = 5
"""Of a controller by Ray; then its host looks whether it is worth another one."""
LOCK_S = 60.0


@ray.remote(num_cpus=0, max_restarts=RESTARTS, max_task_retries=-1)
class ControllerActor:
    """Runs a process in a thread of its own, from its checkpoint if there is one.

    What the host wants stands in a file, so that no restart loses it.

    Args:
        process: its id.
        document: the service.
        folder: of the process.
    """

    def __init__(self, process: str, document: dict[str, Any], folder: str) -> None:
        import torch

        torch.set_num_threads(1)
        self._thread = threading.Thread(target=_work, args=(process, document, Path(folder)), daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Return when the process is over, or has left."""
        self._thread.join()


def _work(process: str, document: dict[str, Any], folder: Path) -> None:
    with attended(folder, LOCK_S) as keeper:
        wishes = read_wishes(folder)
        service = ServiceDescription.model_validate(document)
        stage = RealStage(process, load_service(service.plan(), service.split), service.seed, RayNodes())
        stage.wanted = lambda: _wanted(folder)
        course = Course(service, stage, keeper, wishes["nodes"], f"{platform.node()}/{os.getpid()}")
        _run(course, folder, wishes)


def _run(course: Course, folder: Path, first: dict[str, Any]) -> None:
    wishes = first
    while not course.ended and not wishes["stop"]:
        course.step()
        now = read_wishes(folder)
        if now["nodes"] != wishes["nodes"]:
            course.lease(now["nodes"])
        if now["leave"]:
            raise Leave
        if now["moves"] != first["moves"]:
            os._exit(1)  # Ray begins it anew
        wishes = now
    course.end(wishes["stop"])


def _wanted(folder: Path) -> list[str]:
    """The nodes that the process is to have from now on."""
    wishes = read_wishes(folder)
    nodes: list[str] = [] if wishes["stop"] else wishes["nodes"]
    return nodes


def read_wishes(folder: Path) -> dict[str, Any]:
    """What the host wants: `nodes`, `stop` (a reason, or empty), `leave`, and how often it was to move."""
    wishes: dict[str, Any] = {"nodes": [], "stop": "", "leave": False, "moves": 0}
    with suppress(FileNotFoundError):
        wishes |= parse_json((folder / WISHES).read_text(encoding="utf-8"), WISHES)
    return wishes


def write_wishes(folder: Path, **wishes: Any) -> None:
    """Change some of them."""
    write_text(folder / WISHES, json.dumps(read_wishes(folder) | wishes))
