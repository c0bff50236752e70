"""A process on nodes of this program: the same controller and schedulers, from hop to hop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from snakegym.cluster.node import Node, Task
from snakegym.cluster.statements import Means
from snakegym.control.records import Assignment
from snakegym.control.service import Service, load_service
from snakegym.data.datasets import Dataset
from snakegym.errors import SnakegymError
from snakegym.network.records import PCE
from snakegym.scenario import load_scenario
from snakegym.training.cluster.description import ServiceDescription, describe
from snakegym.training.cluster.local.course import Course
from snakegym.training.cluster.local.keeping import Keeper, Log
from snakegym.training.cluster.stages.directory import NearNodes
from snakegym.training.cluster.stages.real import RealStage

NAMES = ["a", "b", "c"]
LONG = {"epochs": 1000, "batch_size": 8, "learning_rate": 1e-5}
"""A hop takes a good while."""


def scenario(mode: str = "p2p") -> dict[str, Any]:
    plain = load_scenario("default").model_dump()
    plain["network"].update(mode=mode, nodes=3)
    plain["model"] = {"name": "mlp", "options": {"width": 16, "middle": 3}}
    plain["learning"].update(batch_size=32, learning_rate=0.005, epochs=2)
    plain["process"].update(budget={"time_s": 1000, "hops": 8}, wait_s=0.2)
    return plain


def nodes(service: Service, names: list[str], **means: Any) -> NearNodes:
    """Each with a third of the samples."""
    train = service.data.train

    def data(place: int) -> Callable[[Task], Dataset]:
        own = torch.arange(place, len(train), 3)
        return lambda _: Dataset(train.inputs[own], train.targets[own], train.n_classes)

    return NearNodes(*(Node(Means(name, 1e9, 1e9, **means), data(i)) for i, name in enumerate(names)))


@pytest.fixture
def service() -> ServiceDescription:
    return describe({"name": "real", "scenario": scenario(), "scheduler": "fastest", "shadow": "random"})


def loaded(service: ServiceDescription) -> Service:
    return load_service(service.plan(), service.split)


def play(course: Course, steps: int = 40) -> None:
    for _ in range(steps):
        if course.ended:
            break
        course.step()


def wait_until(stage: RealStage, due: Callable[[], bool]) -> None:
    until = time.monotonic() + 120
    while not due():
        assert time.monotonic() < until
        stage.wait()


def hop(stage: RealStage, node: int, layer: int) -> Any:
    return stage.carry_out(stage.controller.dispatch(Assignment(node, layer)))


@pytest.mark.parametrize("mode", ["p2p", "cs"])
@pytest.mark.parametrize("scheduler", ["fastest", "reference", "lookahead"])
def test_a_process_on_nodes_learns_whoever_schedules(tmp_path: Any, mode: str, scheduler: str) -> None:
    service = describe({"name": "x", "scenario": scenario(mode), "scheduler": scheduler, "shadow": "milp"})
    stage = RealStage("p", loaded(service), 0, nodes(loaded(service), NAMES))
    course = Course(service, stage, Keeper(tmp_path), NAMES, "here")
    play(course)
    course.end()
    events = Log(tmp_path).since(0)
    hops = [event for event in events if event["kind"] == "hop"]
    assert len(hops) >= 2
    assert all(event["delivered"] for event in hops)
    assert all("failed" not in event["shadow"] for event in hops)
    assert {event["node"] for event in hops} <= set(NAMES)
    assert events[-1]["kind"] == "ended"
    assert events[-1]["test_accuracy"] > 0.15
    assert stage.controller.clock_s >= sum(done.costs.time_s for done in stage.controller.history) - 0.05


def test_a_new_node_starts_with_nothing_and_a_lost_one_costs_its_copies(service: ServiceDescription) -> None:
    directory = nodes(loaded(service), NAMES)
    stage = RealStage("p", loaded(service), 0, directory)
    assert stage.seat(["a", "b", None]) == []
    for node, layer in ((0, 0), (1, 1)):
        assert hop(stage, node, layer).delivered
    versions = stage.controller.progress.model
    assert stage.seat(["a", "b", "c"]) == []
    assert stage.controller.progress.model == versions, "it goes on where it was"
    view = stage.controller.view()
    assert not view.held[2].any()
    assert view.nodes.samples[2] == len(directory.nodes["c"]._data(None))  # type: ignore[arg-type]
    assert view.legal[2].any()
    metric, n_bytes = stage.controller.metric, stage.controller.spent.n_bytes
    assert stage.seat(["a", None, "c"]) == [], "who has the model leaves"
    assert (stage.controller.recoveries, stage.controller.view().holder) == ([], PCE)
    assert (stage.controller.progress.model, stage.controller.metric) == (versions, metric)
    assert stage.controller.spent.n_bytes == n_bytes + 4 * sum(
        t.numel() for i in (0, 1, 2, 4) for t in stage.controller.state.layers[i].values()
    ), "but for the layer that nobody has trained"
    assert "p" not in directory.nodes["b"]._rooms
    assert hop(stage, 2, 2).sender == PCE
    del directory.nodes["c"]
    wait_until(stage, lambda: bool(stage.controller.recoveries))
    (lost,) = stage.controller.recoveries
    assert (lost.lost, lost.source, lost.hops_lost) == (2, PCE, 1)
    assert stage.controller.progress.model == versions


def test_a_node_that_dies_is_noticed_and_one_that_comes_back_is_taken_again(
    service: ServiceDescription,
) -> None:
    directory = nodes(loaded(service), NAMES)
    stage = RealStage("p", loaded(service), 0, directory)
    stage.seat(NAMES)
    hop(stage, 0, 0)
    hop(stage, 1, 1)
    dead = directory.nodes.pop("b")
    wait_until(stage, lambda: stage.controller.view().holder == 0)
    assert not stage.controller.view().legal[1].any()
    assert hop(stage, 2, 1).delivered
    directory.nodes["b"] = Node(dead.means, dead._data)
    directory._reach.clear()
    wait_until(stage, lambda: bool(stage.controller.view().legal[1].any()))
    assert hop(stage, 1, 2).delivered


def test_a_node_that_fails_may_try_again_and_one_that_is_banned_stays_so_when_the_process_is_taken_up(
    service: ServiceDescription, tmp_path: Any
) -> None:
    directory = nodes(loaded(service), NAMES)
    stage = RealStage("p", loaded(service), 0, directory)
    course = Course(service, stage, Keeper(tmp_path), NAMES, "here")
    room = directory.nodes["a"]._rooms["p"]

    class Mad:
        def train(self, jobs: Any) -> Any:
            raise RuntimeError("out of order")

    whole, room.engine = room.engine, Mad()  # type: ignore[assignment]
    failed = hop(stage, 0, 0)
    assert (failed.abandoned, failed.delivered) == ("out of order", False)
    assert stage.controller.view().legal[0].any()

    class Huge:
        def train(self, jobs: Any) -> Any:
            (result,) = whole.train(jobs)
            big = {0: {name: t + 1e9 for name, t in result.state.layers[0].items()}}
            return [type(result)(result.state.replace(big), result.batches, result.loss)]

    room.engine = Huge()  # type: ignore[assignment]
    assert "expected numbers up to" in hop(stage, 0, 0).abandoned
    assert not stage.controller.view().legal[0].any()
    course.step()
    again = RealStage("p", loaded(service), 0, directory)
    Course(service, again, Keeper(tmp_path), NAMES, "there")
    assert not again.controller.view().legal[0].any()
    assert len(again.controller.history) == len(stage.controller.history) == 3
    assert again.controller.dispatch(Assignment(1, again.controller.view().next_layer)).id > max(
        done.job for done in stage.controller.history
    )


def test_a_process_that_is_taken_up_finds_what_its_nodes_hold(
    service: ServiceDescription, tmp_path: Any
) -> None:
    directory = nodes(loaded(service), NAMES)
    stage = RealStage("p", loaded(service), 0, directory)
    course = Course(service, stage, Keeper(tmp_path), NAMES, "here")
    for _ in range(4):
        course.step()
    again = RealStage("p", loaded(service), 0, directory)
    other = Course(service, again, Keeper(tmp_path), NAMES, "there")
    one, two = stage.controller.view(), again.controller.view()
    assert one.holder == two.holder
    np.testing.assert_array_equal(one.held, two.held)
    assert again.controller.clock_s == pytest.approx(stage.controller.clock_s, abs=2.0)
    play(other)
    other.end()
    log = Log(tmp_path).since(0)
    assert [event["number"] for event in log] == list(range(1, len(log) + 1))
    assert [event["hop"] for event in log if event["kind"] == "hop"] == list(range(8))


def test_a_node_without_samples_or_unknown_is_refused_and_the_others_go_on(
    service: ServiceDescription, tmp_path: Any
) -> None:
    directory = nodes(loaded(service), NAMES)

    def none(task: Task) -> Dataset:
        raise SnakegymError("node 'b': found no samples of 'digits', expected some")

    directory.nodes["b"]._data = none
    stage = RealStage("p", loaded(service), 0, directory)
    course = Course(service, stage, Keeper(tmp_path), [*NAMES[:2], "nobody"], "here")
    course.step()
    refused = [event["reason"] for event in Log(tmp_path).since(0) if event["kind"] == "refused"]
    assert refused == ["node 'b': found no samples of 'digits', expected some", "'nobody'"]
    assert [part.node for done in stage.controller.history for part in done.parts] == [0]


def test_nodes_that_have_not_answered_yet_have_lost_nothing(
    service: ServiceDescription, tmp_path: Any
) -> None:
    directory = nodes(loaded(service), NAMES)
    course = Course(service, RealStage("p", loaded(service), 0, directory), Keeper(tmp_path), NAMES, "here")
    for _ in range(3):
        course.step()
    beats, directory.beats = directory.beats, dict  # type: ignore[method-assign, assignment]
    again = RealStage("p", loaded(service), 0, directory)
    Course(service, again, Keeper(tmp_path), NAMES, "there")
    again.wait()
    assert not again.controller.recoveries
    assert not again.controller.view().legal.any()
    directory.beats = beats  # type: ignore[method-assign]
    wait_until(again, lambda: bool(again.controller.view().legal.any()))
    assert again.controller.progress.hops == 3


@pytest.mark.parametrize("mode", ["p2p", "cs"])
def test_a_node_that_is_not_wanted_any_more_ends_its_hop_with_what_it_has(mode: str, tmp_path: Any) -> None:
    plain = scenario(mode)
    plain["learning"].update(LONG)
    service = describe({"name": "long", "scenario": plain, "scheduler": "fastest"})
    directory = nodes(loaded(service), NAMES)
    stage = RealStage("p", loaded(service), 0, directory)
    course = Course(service, stage, Keeper(tmp_path), NAMES, "here")
    stage.wanted = lambda: ["b", "c"]
    done = hop(stage, 0, 0)
    assert (done.delivered, done.abandoned, done.phases.interrupted) == (True, "", None)
    assert 0 < done.phases.trained_share < 0.5
    versions, metric = stage.controller.progress.model, stage.controller.metric
    course.lease(["b", "c"])
    assert Log(tmp_path).since(0)[-1]["kind"] == "released"
    assert (stage.controller.progress.model, stage.controller.metric) == (versions, metric)
    assert not stage.controller.recoveries
    speed = stage.controller.view().nodes.peak_flops
    assert speed[0] < 1e13, "what was not done is not counted as done"
