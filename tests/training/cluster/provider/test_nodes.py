"""Nodes that register, are authorised, die and are removed."""

from __future__ import annotations

from typing import Any

import pytest

from snakegym.training.cluster.hosting import NodeReport
from snakegym.training.cluster.provider.errors import ConflictError, MissingError
from snakegym.training.cluster.provider.nodes import SILENCE_S, Nodes


def test_the_hosts_nodes_are_there(world: Any) -> None:
    (first, *_) = world.nodes.listing()
    assert (first.name, first.authorised, first.hosted, first.alive) == ("n0", True, True, True)
    assert world.nodes.counts() == {"registered": 3, "alive": 3, "leased": 0}


def test_register(world: Any) -> None:
    phone = NodeReport("phone-3", samples=120, labels={"3": 120})
    assert not world.nodes.register(phone, authorised=False).authorised
    with pytest.raises(ConflictError, match="node 'phone-3': is registered already"):
        world.nodes.register(phone, authorised=True)
    assert world.nodes.authorise("phone-3", True).authorised
    assert world.nodes.hear(NodeReport("phone-3", battery=0.5)).report["battery"] == 0.5
    assert [n.name for n in world.nodes.listing(hosted=False)] == ["phone-3"]
    world.nodes.remove("phone-3")
    for call in (world.nodes.one, world.nodes.remove):
        with pytest.raises(MissingError, match="node 'phone-3'"):
            call("phone-3")


def test_what_is_in_use_stays(world: Any) -> None:
    process = world.started("tiny")
    assert world.nodes.one("n1").processes == [process]
    with pytest.raises(ConflictError, match=f"in use by {process}"):
        world.nodes.remove("n1")
    world.stage.tell(process, "ended", reason="hops", metric=0.4)
    world.rounds()
    with pytest.raises(ConflictError, match="the host has it"):
        world.nodes.remove("n1")
    del world.stage.there["n1"]
    world.rounds()
    assert not world.nodes.one("n1").alive
    world.nodes.remove("n1")


def test_a_dead_node_is_replaced(world: Any, document: dict[str, Any]) -> None:
    world.provider.register(document | {"name": "two", "devices": {"start_nodes": 2}})
    process = world.started("two")
    assert world.provider.process(process).nodes == ["n0", "n1"]
    world.stage.there["n0"] = NodeReport("n0", alive=False)
    world.rounds()
    assert world.provider.process(process).nodes == ["n1", "n2"]
    assert world.stage.said[-1] == ("lease", process, "n1", "n2")
    assert [e["node"] for e in world.provider.events(process)[0] if e["kind"] == "lost"] == ["n0"]


def test_a_node_that_is_not_authorised_any_longer(world: Any) -> None:
    process = world.started("tiny")
    world.nodes.authorise("n2", False)
    world.rounds()
    assert world.provider.process(process).nodes == ["n0", "n1"]
    assert world.stage.said == [("lease", process, "n0", "n1")]


def test_silence(world: Any) -> None:
    clock = [1000.0]
    nodes = Nodes(world.registry, now=lambda: clock[0])
    nodes.register(NodeReport("phone"), authorised=True)
    clock[0] += SILENCE_S
    nodes.hear_of(world.stage.nodes())
    assert nodes.one("phone").alive
    clock[0] += 0.1
    nodes.hear_of(world.stage.nodes())
    assert not nodes.one("phone").alive
    assert nodes.hear(NodeReport("phone")).alive


@pytest.mark.parametrize(
    ("wish", "report", "fits"),
    [
        ({"devices": {"memory_bytes": 1e6}}, {"memory_bytes": 1e5}, False),
        ({"devices": {"memory_bytes": 1e6}}, {"memory_bytes": 1e6}, True),
        ({"devices": {"memory_bytes": 1e6}}, {}, True),
        ({"devices": {"peak_flops": 1e9}}, {"peak_flops": 1e8}, False),
        ({"data": {"least_samples": 100}}, {"samples": 99}, False),
        ({"data": {"labels": [3, 4]}}, {"labels": {"3": 0, "4": 1}}, True),
        ({"data": {"labels": [3, 4]}}, {"labels": {"5": 7}}, False),
    ],
)
def test_only_what_fits_is_leased(
    world: Any, document: dict[str, Any], wish: dict[str, Any], report: dict[str, Any], fits: bool
) -> None:
    world.stage.there = {n: NodeReport(n, **(report if n == "n0" else {})) for n in world.stage.there}
    wish["devices"] = {"start_nodes": 3, "least_nodes": 1, **wish.get("devices", {})}
    world.provider.register(document | {"name": "choosy", **wish})
    process = world.started("choosy")
    assert ("n0" in world.provider.process(process).nodes) is fits
