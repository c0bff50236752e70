"""What holds whatever happens: controller and executor on random networks full of drop-outs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snakegym.control.forecast import forecast
from snakegym.control.records import Assignment
from snakegym.network.network import Network, NodeProfile
from snakegym.network.records import PCE
from snakegym.network.traces.trace import LinkTrace, Trace


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**31 - 1), mode=st.sampled_from(["p2p", "cs"]), k=st.integers(1, 3))
def test_bytes_energy_time_and_parameters_are_conserved(start, random_network, strict_pool, seed, mode, k):
    rng = np.random.default_rng(seed)
    parallel = k if mode == "cs" else 1
    controller, executor = start(
        mode, network=random_network(rng), pool=strict_pool, seed=seed, parallel=parallel, wait_s=4
    )
    for _ in range(12):
        before, clock, events = controller.state, controller.clock_s, len(controller.pool.events)
        view, recoveries = controller.view(), len(controller.recoveries)
        legal = np.argwhere(view.legal)
        needed = forecast(replace(view, parallel=1)).node_energy_j
        assert (needed <= view.nodes.battery_j[:, None])[view.legal].all()
        if len(legal) == 0 or rng.random() < 0.1:
            controller.wait()
            done = None
        else:
            job = controller.dispatch(Assignment(*(int(i) for i in rng.choice(legal))))
            assert view.nodes.in_pool[[m.assignment.node for m in job.members]].all()
            done = controller.complete(job.id, executor.run(job))
        assert controller.clock_s >= clock
        assert controller.view().nodes.in_pool.tolist() == controller.pool.members().tolist()
        assert all(clock <= e.time_s <= controller.clock_s for e in controller.pool.events[events:])
        if len(controller.recoveries) > recoveries:
            assert view.holder != PCE or done is not None
        elif done is None or not done.delivered:
            assert controller.state is before, "nothing delivered, nothing changed"
        else:
            changed = {0, done.assignment.layer + 1, len(before) - 1}
            for i, (old, new) in enumerate(zip(before.layers, controller.state.layers, strict=True)):
                assert (old is new) == (i not in changed)
                if i not in changed:
                    assert all(torch.equal(old[name], new[name]) for name in old)
    parts = [part for done in controller.history for part in done.parts]
    waits = controller.waits * controller.scenario.process.wait_s
    spent, phases = controller.spent, [part.phases for part in parts]
    assert all(p.bytes_sent == p.bytes_received + p.bytes_lost for p in phases)
    assert spent.n_bytes == pytest.approx(sum(p.bytes_received + p.bytes_lost for p in phases))
    assert spent.time_s == pytest.approx(sum(d.costs.time_s for d in controller.history) + waits)
    assert controller.clock_s == pytest.approx(spent.time_s)
    assert spent.energy_j == pytest.approx(controller.pool.energy_j.sum()), "process total = sum over nodes"
    assert (controller.pool.energy_j <= controller.network.battery_j * (1 + 1e-9)).all(), "nobody has more"
    assert all((part.batches > 0) >= part.delivered for part in parts)
    assert all(part.phases.interrupted != "receive" or part.batches == 0 for part in parts)
    assert all(part.phases.reason is None or part.phases.interrupted for part in parts)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**31 - 1))
def test_a_process_can_always_go_on_once_everybody_is_back(start, seed):
    """P2P under drop-outs: whoever is lost, some node may train again as soon as all links are up."""
    rng = np.random.default_rng(seed)
    down = [Trace("d", [0, a, a + b], [1e6, 0.0, 1e6], 1e6) for a, b in rng.uniform(5, 40, (4, 2))]
    profiles = [NodeProfile("n", 1e6, 8e6, 0.3, 0.5) for _ in range(4)]
    links = [LinkTrace("l", t, t, 0.05) for t in down]
    network = Network(profiles, [Trace("c", [0], [1.0])] * 4, links, timeout_s=5)
    controller, executor = start(network=network, pool={"recovery_s": 8, "max_interruptions": 1}, wait_s=4)
    while controller.clock_s < 150:
        legal = np.argwhere(controller.view().legal)
        if len(legal) == 0 or len(controller.history) > 15:
            controller.wait()
            continue
        job = controller.dispatch(Assignment(*(int(i) for i in rng.choice(legal))))
        controller.complete(job.id, executor.run(job))
    assert controller.view().legal.any()
