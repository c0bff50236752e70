"""Batteries: who may be assigned with what is left, and what becomes of a hop when one runs out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snakegym.control.forecast import forecast
from snakegym.control.records import Assignment
from snakegym.network.network import NodeProfile, constant_network
from snakegym.network.records import PCE

PROFILE = NodeProfile("n", 1e7, 8e6, 0.3, 0.5)


def network_with(battery_j: float, node: int = 0):
    """Four equal nodes on links that never change; one of them has a battery."""
    profiles = [replace(PROFILE, battery_j=battery_j) if n == node else PROFILE for n in range(4)]
    return constant_network(profiles, 1, 1e6, 1e6, rtt_s=0.1)


@pytest.mark.parametrize("mode", ["p2p", "cs"])
def test_a_node_is_masked_where_the_forecast_exceeds_what_is_left(start, hop, mode):
    needed = float(forecast(start(mode, network=network_with(np.inf))[0].view()).node_energy_j[0, 0])
    too_little = start(mode, network=network_with(0.99 * needed))[0].view()
    assert not too_little.legal[0].any()
    assert too_little.legal[1:].all()
    assert too_little.nodes.in_pool.all(), "it has something left"
    controller, executor = start(mode, network=network_with(1.5 * needed))
    assert controller.view().legal.all()
    done = hop(controller, executor, 0, 0)
    assert done.delivered
    view = controller.view()
    assert view.nodes.battery_j[0] == pytest.approx(1.5 * needed - done.phases.node_energy_j)
    assert not view.legal[0].any(), "it cannot do that twice"
    assert view.legal[1:, 1:].all()


def test_a_holder_whose_battery_runs_out_while_it_hands_on_is_given_up_at_once(start, hop):
    needed = float(forecast(start(network=network_with(np.inf))[0].view()).node_energy_j[0, 0])
    controller, executor = start(network=network_with(needed * 1.01))
    hop(controller, executor, 1, 1)
    kept = controller.progress
    hop(controller, executor, 0, 0)
    assert controller.view().holder == 0
    done = hop(controller, executor, 2, 2)
    assert (done.delivered, done.phases.interrupted, done.phases.reason) == (False, "receive", "battery")
    view = controller.view()
    assert view.nodes.battery[0] == view.nodes.battery_j[0] == 0
    assert controller.pool.energy_j[0] == pytest.approx(needed * 1.01)
    assert not view.nodes.in_pool[0]
    assert [(r.lost, r.source, r.hops_lost) for r in controller.recoveries] == [(0, 1, 1)]
    assert controller.progress is kept


def test_what_a_node_learnt_is_lost_with_its_battery(start):
    """An interruption that no forecast foresees: half the energy is gone when the job begins."""
    controller, executor = start(network=network_with(100.0))
    before = controller.progress
    job = controller.dispatch(Assignment(0, 0))
    needed = float(forecast(controller.view()).node_energy_j[0, 0])
    outcome = executor.run(replace(job, battery_j=0.9 * needed))
    assert outcome.batches > 0
    assert (outcome.delivered, outcome.measured) == (False, False)
    assert outcome.phases.node_energy_j == pytest.approx(0.9 * needed)
    controller.complete(job.id, outcome)
    assert controller.progress is before
    assert controller.view().holder == PCE
