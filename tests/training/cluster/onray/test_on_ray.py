"""Processes on nodes of a Ray cluster, whole and with parts that are killed in the middle."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
import torch

from snakegym.control.controller import ProcessController
from snakegym.control.execution.executor import SimulatedExecutor
from snakegym.control.nodes.holdings import node_data
from snakegym.control.records import Assignment
from snakegym.control.service import load_service
from snakegym.network.network import NodeProfile, constant_network
from snakegym.testing import check_executor
from snakegym.training.cluster.description import ServiceDescription
from snakegym.training.cluster.hosting import Event, Order
from snakegym.training.cluster.onray.directory import RayNodes
from snakegym.training.cluster.onray.host import RayHost
from snakegym.training.cluster.onray.node import node_actor
from snakegym.training.cluster.stages.real import RealStage

pytestmark = pytest.mark.cluster
NAMES = ["a", "b", "c"]
PLAN = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (2, 0)]
BUSY_S = 10.0
"""What a busy machine may add."""
Make = Callable[..., ServiceDescription]


def stage_of(service: ServiceDescription, process: str) -> RealStage:
    stage = RealStage(process, load_service(service.plan(), service.split), 0, RayNodes())
    assert stage.seat(NAMES) == []
    until = time.monotonic() + 120
    while not stage.controller.view().nodes.reachable.all():
        assert time.monotonic() < until
        stage.wait()
    return stage


def simulation_of(service: ServiceDescription) -> tuple[ProcessController, SimulatedExecutor]:
    loaded = load_service(service.plan(), service.split)
    train = loaded.data.train
    indices = [np.arange(i, len(train), 3) for i in range(3)]
    data = node_data(train, indices, len(loaded.data.validation))
    network = constant_network([NodeProfile("n", 1e9, 1e9, 1, 1)] * 3, 1, 1e8, 1e8)
    controller = loaded.control(np.random.default_rng(0), network, data, None)  # type: ignore[arg-type]
    return controller, loaded.executor_for(controller)


ADAPTERS = {"lora": {"rank": 2}, "trains": "last", "frozen": "bf16"}


@pytest.mark.parametrize(("mode", "learning"), [("p2p", {}), ("cs", {}), ("cs", ADAPTERS)])
def test_the_same_model_as_in_a_simulation_bit_by_bit(
    host: RayHost, service: Make, mode: str, learning: dict[str, Any]
) -> None:
    stage = stage_of(service(mode, hops=99, **learning), f"same-{mode}-{len(learning)}")
    simulated, executor = simulation_of(service(mode, hops=99, **learning))
    for node, layer in PLAN:
        done = stage.carry_out(stage.controller.dispatch(Assignment(node, layer)))
        job = simulated.dispatch(Assignment(node, layer))
        expected = simulated.complete(job.id, executor.run(job))
        assert (done.abandoned, done.metric, done.loss) == ("", expected.metric, expected.loss)
        assert done.costs.n_bytes == expected.costs.n_bytes
    if mode == "p2p":  # what the PC has is the initial model
        assert {version for _, version in stage.controller.store._layers} == {0}
    state = stage.collect()
    for one, other in zip(state.layers, simulated.state.layers, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    stage.close()


def test_nodes_on_ray_keep_the_contract_of_executors(host: RayHost, service: Make) -> None:
    stage = stage_of(service(hops=99), "contract")

    class Executor:
        submit = stage._executor.submit

    check_executor(lambda: (stage.controller, Executor()), repeatable=False)  # type: ignore[arg-type, return-value]
    stage.close()


def wait_for(host: RayHost, process: str, due: Callable[[list[Event]], bool]) -> list[Event]:
    until = time.monotonic() + 240
    while not due(events := host.events(process)):
        assert time.monotonic() < until, events
        time.sleep(0.02)
    return events


def hops(events: list[Event]) -> list[Event]:
    return [event for event in events if event["kind"] == "hop"]


def over(events: list[Event]) -> bool:
    return events[-1:] != [] and events[-1]["kind"] in ("ended", "failed")


def check_whole(events: list[Event], n: int) -> None:
    assert events[-1]["kind"] == "ended", events[-1]
    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    assert [event["hop"] for event in hops(events)] == list(range(n)), "no hop is lost or counted twice"


def test_a_controller_that_is_killed_goes_on(host: RayHost, service: Make) -> None:
    host.start(Order("killed", service(hops=60, epochs=20), tuple(NAMES)))
    events = wait_for(host, "killed", lambda found: len(hops(found)) > 5)
    (first,) = (event["machine"] for event in events if event["kind"] == "started")
    os.kill(int(first.rpartition("/")[2]), signal.SIGKILL)
    events = wait_for(host, "killed", over)
    check_whole(events, 60)
    (resumed,) = (event for event in events if event["kind"] == "resumed")
    assert resumed["machine"] != first
    after = [event for event in hops(events) if event["number"] > resumed["number"]]
    assert after[0]["delivered"], "nodes have what they had"
    assert events[-1]["test_accuracy"] > 0.7


def test_a_process_is_moved_taken_up_by_another_host_and_stopped(
    host: RayHost, service: Make, tmp_path: Path, machines: Any
) -> None:
    host.start(Order("moved", service(hops=10_000, epochs=8), ("a", "b")))
    wait_for(host, "moved", lambda found: len(hops(found)) > 3)
    host.migrate("moved")
    wait_for(host, "moved", lambda found: any(event["kind"] == "resumed" for event in found))
    host.lease("moved", ["b", "c"])
    wait_for(host, "moved", lambda found: any(event["kind"] == "released" for event in found))
    events = wait_for(host, "moved", lambda found: "c" in [event["node"] for event in hops(found)[-3:]])
    snapshot = host.status("moved").snapshot
    assert [seat["node"] for seat in snapshot["nodes"]] == ["c", "b", None]
    host.close()
    other = RayHost(tmp_path / "processes", machines.address)
    try:
        number = len(hops(events))
        other.start(Order("moved", service(hops=10_000, epochs=8), ("b", "c"), resume=True))
        wait_for(other, "moved", lambda found: len(hops(found)) > number + 3)
        other.stop("moved")
        check_whole(events := wait_for(other, "moved", over), len(hops(events)))
        assert events[-1]["reason"] == "request"
    finally:
        other.close()


def begun(name: str, process: str) -> bool:
    """Whether that node has received a model of the process."""
    look = node_actor(name).__ray_call__
    held = ray.get(
        look.remote(lambda self: [len(r.store) for p, r in self._node._rooms.items() if p == process])
    )
    return any(held)


@pytest.mark.parametrize("mode", ["p2p", "cs"])
def test_long_hops_are_cut_short_for_a_release_and_for_a_stop(
    host: RayHost, service: Make, mode: str
) -> None:
    name = f"long-{mode}"
    host.start(Order(name, service(mode, hops=99, epochs=1000, batch_size=8, learning_rate=1e-5), ("a",)))
    wait_for(host, name, lambda _: begun("a", name))
    host.lease(name, ["b"])
    events = wait_for(host, name, lambda found: any(e["kind"] == "released" for e in found))
    assert hops(events)[-1]["delivered"]
    assert 0 < hops(events)[-1]["share"] < 1
    host.stop(name)
    check_whole(events := wait_for(host, name, over), len(hops(events)))
    assert events[-1]["reason"] == "request"
    assert events[-1]["test_accuracy"] is not None, "what it had come to was uploaded"


def test_nodes_that_die_are_noticed_within_five_seconds_and_taken_again(
    host: RayHost, service: Make, machines: Any
) -> None:
    host.start(Order("dying", service(hops=10_000, epochs=8), tuple(NAMES)))
    wait_for(host, "dying", lambda found: len(hops(found)) > 3)
    pid = ray.get(node_actor("a").__ray_call__.remote(lambda self: os.getpid()))
    os.kill(pid, signal.SIGKILL)  # the worker; Ray begins it anew
    wait_for(host, "dying", lambda found: "a" not in [event["node"] for event in hops(found)[-8:]])
    wait_for(host, "dying", lambda found: "a" in [e["node"] for e in hops(found)[-8:] if e["delivered"]])
    machines.kill("b")  # all of its raylet
    start, last = time.time(), len(hops(host.events("dying")))
    events = wait_for(host, "dying", lambda found: {e["node"] for e in hops(found)[last:][-6:]} == {"a", "c"})
    lost = [event["at"] for event in hops(events)[last:] if event["abandoned"]]
    assert max(lost, default=start) - start < 5 + BUSY_S, "and nobody asks it any more"
    until = start + 5 + BUSY_S
    while next(report for report in host.nodes() if report.name == "b").alive:
        assert time.time() < until, "noticed, though it had no hop to lose"
        time.sleep(0.05)
    machines.add("b")
    wait_for(host, "dying", lambda found: "b" in [e["node"] for e in hops(found)[-8:] if e["delivered"]])
    host.stop("dying")
    events = wait_for(host, "dying", over)
    check_whole(events, len(hops(events)))
    assert events[-1]["metric"] > 0.7
