"""What a process keeps survives a kill at any moment."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snakegym.control.progress.checkpoint import ProcessCheckpoint
from snakegym.control.service import load_service
from snakegym.errors import SnakegymError
from snakegym.training.cluster.description import ServiceDescription, describe
from snakegym.training.cluster.local.course import Course
from snakegym.training.cluster.local.keeping import CHECKPOINT, EVENTS, Keeper, Log, read_status
from snakegym.training.cluster.stages.stage import SimulatedStage


@pytest.fixture
def checkpoint(service: ServiceDescription) -> ProcessCheckpoint:
    return load_service(service.plan(), "test").start(np.random.default_rng(0))[0].checkpoint()


def told(folder: Path) -> list[Any]:
    return [(event["number"], event["kind"]) for event in Log(folder).since(0)]


def saved(folder: Path, checkpoint: ProcessCheckpoint, n: int) -> Keeper:
    keeper = Keeper(folder)
    for i in range(n):
        keeper.tell({"kind": f"hop {i}"})
        keeper.save(checkpoint, {"at": i}, {"hops": i})
    return keeper


@pytest.mark.parametrize("left", [0, 1, 10])
def test_killed_between_checkpoint_and_events(
    tmp_path: Path, checkpoint: ProcessCheckpoint, left: int
) -> None:
    saved(tmp_path / "a", checkpoint, 3)
    events = (tmp_path / "a" / EVENTS).read_bytes()
    before = sum(len(line) for line in events.splitlines(keepends=True)[:2])
    (tmp_path / "a" / EVENTS).write_bytes(events[: before + left])
    assert told(tmp_path / "a") == [(1, "hop 0"), (2, "hop 1")], "half a line is none"
    keeper = Keeper(tmp_path / "a")
    taken = keeper.take_up()
    assert taken is not None
    assert taken[1] == {"at": 2}
    assert (tmp_path / "a" / EVENTS).read_bytes() == events
    keeper.tell({"kind": "resumed"})
    keeper.save(checkpoint, {}, {})
    assert told(tmp_path / "a")[-1] == (4, "resumed")


def test_killed_before_the_checkpoint(tmp_path: Path, checkpoint: ProcessCheckpoint) -> None:
    """What was told after the last checkpoint, as the end is, is told again by whoever goes on."""
    keeper = saved(tmp_path, checkpoint, 2)
    keeper.tell({"kind": "ended"})
    keeper.finish()
    reader = Log(tmp_path)
    assert reader.over == "ended"
    again = Keeper(tmp_path)
    assert again.take_up() is not None
    again.tell({"kind": "ended"})
    again.finish()
    assert told(tmp_path) == [(1, "hop 0"), (2, "hop 1"), (3, "ended")]
    assert len(reader.since(0)) == 3, "who read on meanwhile saw nothing twice"


def test_a_fresh_folder(tmp_path: Path) -> None:
    assert Keeper(tmp_path / "new").take_up() is None
    assert read_status(tmp_path / "new") == {}
    assert Log(tmp_path / "new").since(0) == []


def test_a_damaged_checkpoint(tmp_path: Path, checkpoint: ProcessCheckpoint) -> None:
    saved(tmp_path / "a", checkpoint, 1)
    path = tmp_path / "a" / CHECKPOINT
    whole = path.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"x" * 100):
        shutil.rmtree(tmp_path / "b", ignore_errors=True)
        Keeper(tmp_path / "b")
        (tmp_path / "b" / CHECKPOINT).write_bytes(damaged)
        with pytest.raises(SnakegymError, match=r"checkpoint\.json: found .*, expected a checkpoint"):
            Keeper(tmp_path / "b").take_up()


@pytest.mark.parametrize("mode", ["p2p", "cs"])
def test_what_is_written_after_a_hop_does_not_grow(
    tmp_path: Path, document: dict[str, Any], mode: str
) -> None:
    """Whatever the process has behind it: hops, waits, nodes that left the pool, holders that were lost."""
    scenario = document["scenario"]
    scenario["network"]["mode"] = mode
    scenario["pool"] = {"max_epochs": None, "leave_rate_per_h": 60, "cooldown_s": 1, "recovery_s": 1}
    scenario["process"]["budget"] = {"time_s": 1e7}
    service = describe({**document, "scheduler": "random"})
    stage = SimulatedStage(load_service(service.plan(), service.split), 0)
    course = Course(service, stage, Keeper(tmp_path), ["a", "b", "c"], "here")
    sizes: list[int] = []
    rest: set[int] = set()
    while len(sizes) < 160:
        course.step()
        files = {file.name: file.stat().st_size for file in tmp_path.iterdir() if file.name != EVENTS}
        sizes.append(sum(files.values()))
        rest.add(len(files))
    kinds = [event["kind"] for event in Log(tmp_path).since(0)]
    assert kinds.count("hop") > 60
    assert kinds.count("pool") > 3
    assert max(sizes[-30:]) < 1.03 * max(sizes[20:50]), "numbers have more or fewer digits, and that is all"
    assert max(rest) < 20
    assert len(stage.controller.history) <= 8
