"""Services, processes and operations, and what the steward makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from snakegym.errors import SnakegymError
from snakegym.training.cluster.hosting import NodeReport
from snakegym.training.cluster.provider.errors import ConflictError, MissingError


def test_register_and_deregister(world: Any, document: dict[str, Any]) -> None:
    assert [s.name for s in world.provider.services()] == ["tiny"]
    assert world.provider.service("tiny").description["scheduler"] == "fastest"
    with pytest.raises(ConflictError, match="service 'tiny': is registered already"):
        world.provider.register(document)
    with pytest.raises(SnakegymError, match=r"field 'sla\.priority'"):
        world.provider.register(document | {"name": "other", "sla": {"priority": 99}})
    process = world.started("tiny")
    with pytest.raises(ConflictError, match=f"service 'tiny': in use by {process}"):
        world.provider.deregister("tiny")
    world.provider.stop(process)
    world.rounds()
    world.stage.tell(process, "ended", reason="request", metric=0.2)
    world.rounds()
    world.provider.deregister("tiny")
    assert world.provider.services() == []
    assert world.provider.process(process).state == "terminated", "what was stays known"


@pytest.mark.parametrize("what", ["service", "process", "operation"])
def test_what_is_not_there(world: Any, what: str) -> None:
    with pytest.raises(MissingError, match=f"{what} 'none'"):
        getattr(world.provider, what)("none")


def test_a_process_from_start_to_end(world: Any) -> None:
    operation = world.provider.start("tiny", shadow="greedy")
    process = operation.process
    assert (operation.kind, operation.state) == ("start", "PROCESSING")
    assert world.state(process) == "waiting"
    world.rounds()
    assert world.state(process) == "running"
    assert world.provider.operation(operation.id).state == "COMPLETED"
    order = world.stage.orders[process]
    assert order.nodes == ("n0", "n1", "n2")
    assert (order.service.scheduler, order.service.shadow) == ("fastest", "greedy")
    world.stage.snapshots[process] = {"clock_s": 3.0, "metric": 0.4, "hops": 1}
    world.stage.tell(process, "hop", clock_s=3.0, metric=0.4)
    world.rounds(1)
    record = world.provider.process(process)
    assert (record.metric, record.hops, record.nodes) == (0.4, 1, ["n0", "n1", "n2"])
    world.stage.tell(process, "ended", reason="hops", metric=0.4)
    world.rounds(1)
    record = world.provider.process(process)
    assert (record.state, record.reason, record.nodes) == ("terminated", "hops", [])
    events, last = world.provider.events(process)
    assert [(e["number"], e["kind"]) for e in events] == [(1, "started"), (2, "hop"), (3, "ended")]
    assert last
    assert world.provider.events(process, since=2)[0] == events[2:]
    assert world.provider.events(process, limit=1) == (events[:1], False)


def test_seeds_differ_and_repeat(world: Any) -> None:
    seeds = [world.provider.process(world.provider.start("tiny").process).seed for _ in range(2)]
    assert seeds[0] != seeds[1]
    assert world.provider.process(world.provider.start("tiny", seed=7).process).seed == 7


@pytest.mark.parametrize(
    ("wish", "named"),
    [
        ({"scheduler": "best"}, "'scheduler'"),
        ({"shadow": "oracle"}, "'shadow'"),
        ({"priority": 10}, "priority"),
    ],
)
def test_wishes_of_a_process_are_checked(world: Any, wish: dict[str, Any], named: str) -> None:
    with pytest.raises(SnakegymError, match=named):
        world.provider.start("tiny", **wish)
    assert world.provider.processes() == []


def test_more_nodes_than_there_are(world: Any) -> None:
    world.nodes.authorise("n0", False)
    with pytest.raises(ConflictError, match="wants 3 nodes at least, found 2"):
        world.provider.start("tiny")


def test_stop_and_migrate(world: Any) -> None:
    process = world.started("tiny")
    move = world.provider.migrate(process, "there")
    with pytest.raises(ConflictError, match="is migrating, expected running"):
        world.provider.migrate(process)
    world.rounds()
    assert world.stage.said == [("migrate", process, "there")], "told once"
    world.stage.tell(process, "resumed", metric=0.1)
    world.rounds(1)
    assert world.provider.operation(move.id).state == "COMPLETED"
    stop = world.provider.stop(process)
    with pytest.raises(ConflictError, match="is terminating already"):
        world.provider.stop(process)
    world.rounds()
    assert world.stage.said[1:] == [("stop", process)]
    world.stage.tell(process, "ended", reason="request", metric=0.1)
    world.rounds(1)
    assert world.provider.operation(stop.id).state == "COMPLETED"
    with pytest.raises(ConflictError, match="is terminated already"):
        world.provider.stop(process)
    assert [o.kind for o in world.provider.operations(process)] == ["stop", "migrate", "start"]


def test_stopped_before_it_began(world: Any) -> None:
    first = world.started("tiny")
    second = world.started("tiny")
    assert world.state(second) == "waiting"
    stop = world.provider.stop(second)
    states = {o.kind: (o.state, o.detail) for o in world.provider.operations(second)}
    assert states == {"stop": ("COMPLETED", ""), "start": ("FAILED", "stopped before it began")}
    assert stop.state == "COMPLETED"
    assert world.state(second) == "terminated"
    assert world.state(first) == "running"


def test_a_process_that_fails(world: Any) -> None:
    process = world.started("tiny")
    stop = world.provider.stop(process)
    world.stage.tell(process, "failed", reason="ZeroDivisionError: division by zero")
    world.rounds(1)
    record = world.provider.process(process)
    assert (record.state, record.reason, record.nodes) == (
        "failed",
        "ZeroDivisionError: division by zero",
        [],
    )
    assert world.provider.operation(stop.id).state == "FAILED"
    assert world.state(world.started("tiny")) == "running", "its nodes are free"


def test_several_at_once_and_the_next_in_line(world: Any) -> None:
    world.stage.there = {n: NodeReport(n, slots=2) for n in world.stage.there}
    world.rounds(1)
    processes = [world.started("tiny") for _ in range(3)]
    assert [world.state(p) for p in processes] == ["running", "running", "waiting"]
    world.stage.tell(processes[0], "ended", reason="hops", metric=0.4)
    world.rounds()
    assert [world.state(p) for p in processes] == ["terminated", "running", "running"]


def test_preemption_by_priority(world: Any, document: dict[str, Any]) -> None:
    world.provider.register(
        document | {"name": "modest", "devices": {"least_nodes": 1}, "sla": {"priority": 2}}
    )
    world.provider.register(
        document | {"name": "urgent", "devices": {"start_nodes": 2}, "sla": {"priority": 8}}
    )
    low = world.started("modest")
    high = world.started("urgent")
    assert world.state(high) == "waiting", "until the nodes are given back"
    assert world.stage.said == [("lease", low, "n0")]
    world.rounds()
    assert len(world.stage.said) == 1
    world.stage.tell(low, "released", nodes=["n1", "n2"])
    world.rounds()
    assert world.stage.orders[high].nodes == ("n1", "n2")
    assert world.provider.process(low).nodes == ["n0"]
    world.stage.tell(high, "ended", reason="hops", metric=0.4)
    world.rounds()
    assert world.provider.process(low).nodes == ["n0", "n1", "n2"], "it gets them back"


def test_a_promise_at_risk_brings_more_nodes(world: Any, document: dict[str, Any]) -> None:
    sla = {"deadline_s": 10.0, "least_accuracy": 0.9}
    world.provider.register(document | {"name": "late", "devices": {"start_nodes": 1}, "sla": sla})
    process = world.started("late")
    assert world.provider.process(process).nodes == ["n0"]
    for clock_s in (4.0, 6.0, 7.0, 10.0):
        world.stage.tell(process, "hop", clock_s=clock_s, metric=0.2)
    world.rounds()
    assert world.kinds(process) == ["started", "hop", "hop", "sla", "hop", "hop", "sla"], "each told once"
    record = world.provider.process(process)
    assert record.promises == {"least_accuracy": "broken"}
    assert record.nodes == ["n0", "n1", "n2"]
    assert world.stage.said == [("lease", process, "n0", "n1", "n2")]
    world.stage.tell(process, "hop", clock_s=11.0, metric=0.95)
    world.rounds()
    assert world.provider.process(process).promises == {}


def test_nothing_is_lost_by_a_restart(world: Any, another_world: Any) -> None:
    running, waiting = world.started("tiny"), world.started("tiny")
    stopping = world.provider.stop(running)
    world.rounds()
    world.registry.close()
    again = another_world
    again.steward.begin()
    again.steward._stop.set()
    assert [p.id for p in again.provider.processes()] == [waiting, running]
    order = again.stage.orders[running]
    assert (order.resume, order.nodes) == (True, ("n0", "n1", "n2"))
    assert again.stage.said[0] == ("stop", running), "it is told again"
    again.stage.tell(running, "ended", reason="request", metric=0.1)
    again.rounds()
    assert again.provider.operation(stopping.id).state == "COMPLETED"
    assert again.state(waiting) == "running"
    again.steward.end()
    assert again.stage.said[-1] == ("close",)


def test_a_host_that_refuses(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(order: Any) -> None:
        raise SnakegymError("the disk is full")

    monkeypatch.setattr(world.stage, "start", refuse)
    process = world.started("tiny")
    assert world.provider.process(process).reason == "the disk is full"
    assert world.state(process) == "failed"


def test_what_a_host_fails_at_again_and_again(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One process that its host cannot bear does not hold up the others."""
    world.stage.there = {n: NodeReport(n, slots=2) for n in world.stage.there}
    world.rounds(1)
    sick, well = world.started("tiny"), world.started("tiny")
    events = world.stage.events

    def fail(process: str, since: int = 0) -> Any:
        if process == sick:
            raise ConnectionError("its machine is away")
        return events(process, since)

    monkeypatch.setattr(world.stage, "events", fail)
    world.rounds(5)
    assert world.state(sick) == "running", "it may come back"
    world.stage.tell(well, "ended", reason="hops", metric=0.4)
    world.rounds(30)
    assert world.state(well) == "terminated"
    assert (world.state(sick), world.provider.process(sick).reason) == (
        "failed",
        "ConnectionError: its machine is away",
    )


def test_why_a_process_waits(world: Any, document: dict[str, Any]) -> None:
    first, second = world.started("tiny"), world.started("tiny")
    assert world.provider.process(first).reason == ""
    assert world.provider.process(second).reason == "waits for 3 nodes: others have them"
    del world.stage.there["n2"]
    world.rounds()
    assert world.provider.process(second).reason == "waits for 3 nodes: 2 are as it wants them"
