"""Real processes on this machine: run, killed, moved, stopped, resumed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snakegym.errors import SnakegymError
from snakegym.training.cluster.description import ServiceDescription, describe
from snakegym.training.cluster.hosting import Event, Order
from snakegym.training.cluster.local.host import LocalHost
from snakegym.training.episodes.run import run_episode

Make = Callable[..., LocalHost]
Wait = Callable[..., list[Event]]
NODES = ("local-1", "local-2", "local-3")
SLOW = 0.05
"""Seconds for a simulated one: a hop takes a tenth of a second."""
pytestmark = pytest.mark.cluster


def hops(events: list[Event]) -> list[Event]:
    return [event for event in events if event["kind"] == "hop"]


def check_whole(service: ServiceDescription, events: list[Event]) -> None:
    """As nobody had disturbed it: each hop once, and the numbers of an episode of the environment."""
    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["kind"] == "ended"
    alone = run_episode(service.plan(), service.scheduler, service.seed)
    found = [(e["seat"], e["layer"], e["metric"], e["start_s"]) for e in hops(events)]
    assert found == [(t["node"], t["layer"], t["metric"], t["start_s"]) for t in alone["trace"]]
    assert events[-1]["test_accuracy"] == alone["test_accuracy"]


def test_it_trains_as_an_episode_does(make_host: Make, wait_for: Wait, service: ServiceDescription) -> None:
    host = make_host()
    host.start(Order("one", service, NODES))
    events = wait_for(host, "one", "ended")
    check_whole(service, events)
    status = host.status("one")
    assert status.state == "ended"
    assert status.snapshot["hops"] == 5
    assert status.snapshot["n_bytes"] == sum(hop["n_bytes"] for hop in hops(events))
    assert [seat["node"] for seat in status.snapshot["nodes"]] == list(NODES)
    assert sum(layer["times_trained"] for layer in status.snapshot["layers"]) == 5


def test_a_killed_child_is_replaced(make_host: Make, wait_for: Wait, service: ServiceDescription) -> None:
    host = make_host(pace=SLOW)
    host.start(Order("one", service, NODES))
    wait_for(host, "one", "hop", more_than=1)
    os.kill(int(host.status("one").machine.rpartition("/")[2]), signal.SIGKILL)
    events = wait_for(host, "one", "ended")
    check_whole(service, events)
    assert sum(event["kind"] == "resumed" for event in events) == 1


def test_it_survives_its_host(make_host: Make, wait_for: Wait, service: ServiceDescription) -> None:
    first = make_host(pace=SLOW)
    first.start(Order("one", service, NODES))
    wait_for(first, "one", "hop")
    first.close()
    second = make_host()
    with pytest.raises(SnakegymError, match="is there already"):
        second.start(Order("one", service, NODES))
    second.start(Order("one", service, NODES, resume=True))
    check_whole(service, wait_for(second, "one", "ended"))


def test_migration(make_host: Make, wait_for: Wait, service: ServiceDescription) -> None:
    host = make_host(pace=SLOW)
    host.start(Order("one", service, NODES))
    wait_for(host, "one", "hop")
    before = host.status("one").machine
    host.migrate("one")
    events = wait_for(host, "one", "ended")
    check_whole(service, events)
    (resumed,) = [event for event in events if event["kind"] == "resumed"]
    assert resumed["machine"] != before


def test_stop(make_host: Make, wait_for: Wait, document: dict[str, Any]) -> None:
    document["scenario"]["process"]["budget"] = {"time_s": 1e6}
    host = make_host(pace=0.1)
    host.start(Order("one", describe(document), NODES))
    wait_for(host, "one", "hop")
    host.stop("one")
    events = wait_for(host, "one", "ended")
    assert events[-1]["reason"] == "request"
    assert host.status("one").state == "ended"
    assert not host.lease("one", NODES), "whoever comes too late is no error"


def test_a_released_node_trains_no_more(make_host: Make, wait_for: Wait, document: dict[str, Any]) -> None:
    service = describe(document | {"scheduler": "serpentine"})
    host = make_host(pace=SLOW)
    host.start(Order("one", service, NODES[:2]))
    wait_for(host, "one", "hop")
    host.lease("one", (NODES[1], NODES[2]))
    events = wait_for(host, "one", "ended")
    (released,) = [event for event in events if event["kind"] == "released"]
    assert released["nodes"] == [NODES[0]]
    later = {hop["node"] for hop in hops(events) if hop["number"] > released["number"]}
    assert later == {NODES[1], NODES[2]}
    assert {hop["node"] for hop in hops(events) if hop["number"] < released["number"]} <= set(NODES[:2])


def test_a_scheduler_that_raises(
    make_host: Make, wait_for: Wait, document: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(
        "class Bad:\n"
        "    def __init__(self, scenario): self.left = 2\n"
        "    def reset(self, seed): pass\n"
        "    def schedule(self, view):\n"
        "        self.left -= 1\n"
        "        return 1 / self.left and None\n"
    )
    bad = f"{tmp_path / 'mine.py'}:Bad"
    host = make_host()
    host.start(Order("one", describe(document | {"scheduler": bad}), NODES))
    host.start(Order("two", describe(document | {"shadow": bad}), NODES))
    events = wait_for(host, "one", "failed")
    assert events[-1] == events[-1] | {"kind": "failed", "reason": "ZeroDivisionError: division by zero"}
    assert host.status("one").state == "failed"
    shadows = [hop["shadow"] for hop in hops(wait_for(host, "two", "ended"))]
    assert shadows[1]["failed"] == "ZeroDivisionError: division by zero"
    assert len(shadows) == 5, "another's choices do not touch the process"


def test_unknown_processes(make_host: Make) -> None:
    host = make_host(n_nodes=2)
    assert [node.name for node in host.nodes()] == ["local-1", "local-2"]
    with pytest.raises(LookupError):
        host.status("none")
