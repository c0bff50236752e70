"""Who is in the pool, who leaves it and why, and who comes back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import yaml

from snakegym.control.execution.interrupting import InterruptingExecutor
from snakegym.control.records import Assignment, Outcome
from snakegym.errors import SnakegymError
from snakegym.network.network import Network, NodeProfile, constant_network
from snakegym.network.traces.trace import LinkTrace, Trace
from snakegym.scenario import PoolConfig, load_scenario, parse_scenario

PROFILE = NodeProfile("n", 1e7, 8e6, 0.3, 0.5)


def left(controller) -> list[tuple[int, str]]:
    return [(e.node, e.reason) for e in controller.pool.events if not e.joined]


def joined(controller) -> list[tuple[float, int, str]]:
    return [(e.time_s, e.node, e.reason) for e in controller.pool.events if e.joined]


def network_with(share: Trace | float = 1.0, link: Trace | float = 1e6) -> Network:
    """Four equal nodes; node 0 has the given compute and link, in both directions."""

    def trace(value):
        return value if isinstance(value, Trace) else Trace("c", [0], [value])

    computes = [trace(share), *[trace(1.0)] * 3]
    links = [LinkTrace("l", trace(v), trace(v), 0.1) for v in (link, 1e6, 1e6, 1e6)]
    return Network([PROFILE] * 4, computes, links)


def give(outcome: Outcome, gain: float, job) -> Outcome:
    return replace(outcome, metric=job.metric + gain)


def test_by_default_everybody_is_in_from_the_start(start):
    controller, _ = start()
    assert controller.view().nodes.in_pool.all()
    assert joined(controller) == [(0.0, n, "start") for n in range(4)]


def test_a_loaded_node_leaves_and_comes_back_when_it_is_idle_again(start):
    busy = Trace("b", [0, 100, 300], [1.0, 0.1, 1.0], 1e5)
    controller, _ = start(
        network=network_with(share=busy), pool={"min_availability": 0.5, "cooldown_s": 20}, wait_s=10
    )
    members = {}
    while controller.clock_s < 450:
        controller.wait()
        members[controller.clock_s] = bool(controller.view().nodes.in_pool[0])
    assert left(controller) == [(0, "load")]
    # The mean over 60 s is (40 * 1 + 20 * 0.1) / 60 = 0.7 at 120 s and under 0.5 from 140 s on.
    assert members[130.0]
    assert not members[140.0]
    # From 300 s on it is free, but the mean reaches 0.5 only at 330 s.
    back = joined(controller)[-1]
    assert back == (330.0, 0, "ready")
    assert controller.view().nodes.in_pool.all()


def test_bad_links_keep_a_node_out_and_the_view_shows_it_after_the_step(start):
    weak = Trace("w", [0, 50], [1e6, 1e3], 1e5)
    controller, _ = start(network=network_with(link=weak), pool={"min_rate_bps": 1e5}, wait_s=30)
    before = controller.view()
    controller.wait()
    assert before.nodes.in_pool[0], "a view is never changed"
    for _ in range(4):
        controller.wait()
    assert left(controller) == [(0, "connectivity")]
    view = controller.view()
    assert not view.legal[0].any()
    assert view.legal[1:].all()


def test_a_node_with_too_little_memory_never_joins(start):
    profiles = [replace(PROFILE, memory_bytes=1.0), PROFILE, PROFILE, PROFILE]
    controller, _ = start(network=constant_network(profiles, 1, 1e6, 1e6))
    controller.wait()
    assert [n for _, n, _ in joined(controller)] == [1, 2, 3]


def test_an_empty_battery_is_for_good(start, hop):
    profiles = [replace(PROFILE, battery_j=3.0), PROFILE, PROFILE, PROFILE]
    controller, executor = start(
        "cs", network=constant_network(profiles, 1, 1e6, 1e6), pool={"min_battery": 0.5, "cooldown_s": 1}
    )
    while controller.view().nodes.in_pool[0]:
        hop(controller, executor, 0, int(np.argmax(controller.view().layers.open)))
    assert controller.view().nodes.battery[0] <= 0.5
    for _ in range(10):
        controller.wait()
    assert left(controller) == [(0, "battery")]


def test_repeated_interruptions_remove_a_node_for_a_while(start):
    controller, executor = start("cs", pool={"max_interruptions": 2, "cooldown_s": 8}, wait_s=5)
    for _ in range(2):
        job = controller.dispatch(Assignment(1, 0))
        outcome = executor.run(job)
        phases = replace(outcome.phases, interrupted="send", update_sent=False)
        lost = replace(outcome, phases=phases, delivered=False, layers={}, metric=job.metric)
        done = controller.complete(job.id, lost)
        assert done.phases.reason == "link"
    assert left(controller) == [(1, "interruptions")]
    assert not controller.view().nodes.in_pool[1]
    controller.wait()
    assert not controller.view().nodes.in_pool[1]
    controller.wait()
    assert controller.view().nodes.in_pool[1], "after the cool-down it gets another chance"
    assert left(controller) == [(1, "interruptions")]


def test_a_node_that_is_much_slower_than_the_median_leaves(start, hop):
    profiles = [replace(PROFILE, peak_flops=1e6), PROFILE, PROFILE, PROFILE]
    controller, executor = start(
        "cs", network=constant_network(profiles, 1, 1e6, 1e6), pool={"max_slowness": 4}
    )
    hop(controller, executor, 0, 0)
    hop(controller, executor, 1, 1)
    assert left(controller) == [], "two nodes are no median"
    hop(controller, executor, 2, 2)
    assert left(controller) == [(0, "speed")]


def test_nodes_without_gain_leave(start):
    controller, executor = start("cs", pool={"max_gainless": 2, "min_gain": 0.01})
    for node, layer, gain in [(0, 0, 0.005), (1, 1, 0.1), (0, 2, 0.02), (0, 0, 0.005), (0, 1, -0.2)]:
        job = controller.dispatch(Assignment(node, layer))
        assert left(controller) == []
        controller.complete(job.id, give(executor.run(job), gain, job))
    assert left(controller) == [(0, "gain")]


def test_a_node_stops_after_the_epochs_it_was_meant_for(start, hop):
    controller, executor = start("cs", pool={"max_epochs": 4, "cooldown_s": 1})
    hop(controller, executor, 2, 0)
    hop(controller, executor, 2, 1)
    assert left(controller) == [(2, "epochs")]
    controller.wait()
    assert not controller.view().nodes.in_pool[2]


def test_an_interrupted_hop_counts_by_what_was_trained_of_it(start, hop):
    controller, executor = start("cs", pool={"max_epochs": 4, "cooldown_s": 1})
    hop(controller, InterruptingExecutor(executor, 0, 0.5, 10), 2, 0)
    hop(controller, executor, 2, 1)
    assert left(controller) == [], "an epoch and two"
    hop(controller, executor, 2, 2)
    assert left(controller) == [(2, "epochs")]


def test_requests_to_leave_do_not_depend_on_how_long_the_steps_are(start):
    config = {"leave_rate_per_h": 60, "cooldown_s": 1e-3}
    often, seldom = (start("cs", pool=config, wait_s=wait)[0] for wait in (1, 7))
    for controller in (often, seldom):
        while controller.clock_s < 301:
            controller.wait()
    a, b = ([(e.node, e.time_s) for e in c.pool.events if not e.joined] for c in (often, seldom))
    assert 8 <= len(a) <= 35, "20 are expected"
    assert {reason for _, reason in left(often)} == {"request"}
    met = {(node, -(-time // 7) * 7) for node, time in a}  # at the end of the longer step
    assert set(b) <= met
    assert len(b) >= len(a) - 4, "who has left a moment ago cannot leave again"


def test_counts_name_the_reasons(start, hop):
    controller, executor = start("cs", pool={"max_epochs": 2})
    hop(controller, executor, 0, 0)
    hop(controller, executor, 1, 1)
    assert controller.pool.counts() == {"epochs": 2}


def test_pool_settings_are_checked():
    config = load_scenario("default").model_dump()
    config["pool"]["min_availability"] = 2.0
    with pytest.raises(SnakegymError, match=r"field 'pool\.min_availability'.*found 2\.0"):
        parse_scenario(yaml.safe_dump(config, sort_keys=False).replace("!!python/tuple", ""), "x")
    assert load_scenario("default").pool == PoolConfig()
