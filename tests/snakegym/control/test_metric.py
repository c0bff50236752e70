"""Who measures the metric, what that costs, and what is known where nobody did."""

from __future__ import annotations

import pytest

from snakegym.control.execution.interrupting import InterruptingExecutor
from snakegym.control.forecast import forecast, upload_bytes
from snakegym.control.records import Assignment
from snakegym.control.service import load_service
from snakegym.network.network import Network, NodeProfile
from snakegym.network.records import PCE
from snakegym.network.traces.trace import LinkTrace, Trace
from snakegym.scenario import load_scenario


def cut_off(at_s: float) -> Network:
    """Four equal nodes; node 0 can send no more from then on, for a while."""
    up = Trace("u", [0], [1e5])
    dying = Trace("d", [0, at_s, at_s + 60], [1e5, 0.0, 1e5], 1e5)
    links = [LinkTrace("l", dying if n == 0 else up, up, 0.1) for n in range(4)]
    profiles = [NodeProfile("n", 1e7, 8e6, 0.3, 0.5)] * 4
    return Network(profiles, [Trace("c", [0], [1.0])] * 4, links, timeout_s=5)


def test_the_node_evaluates_by_default_and_pays_for_it(start, hop):
    (measured, executor), (free, executor_2) = start(), start(evaluation="observer")
    assert load_scenario("default").process.evaluation == "node"
    service = load_service(measured.scenario)
    flops = measured.view().evaluation_flops
    assert free.view().evaluation_flops == 0
    a, b = hop(measured, executor, 1, 2), hop(free, executor_2, 1, 2)
    n_validation = len(service.data.validation)
    assert flops == pytest.approx(n_validation * service.profile.forward_flops.sum())
    busy_s = flops / 2e7  # of node 1, half of which is free
    assert a.costs.time_s - b.costs.time_s == pytest.approx(2 * busy_s)
    assert a.costs.energy_j - b.costs.energy_j == pytest.approx(0.3 * busy_s)
    assert a.costs.n_bytes == b.costs.n_bytes
    assert a.metric == b.metric
    assert a.phases.evaluate_s == pytest.approx(2 * busy_s)


@pytest.mark.parametrize("evaluation", ["node", "pce", "observer"])
def test_through_the_pce_the_metric_costs_nothing(start, hop, evaluation):
    usual, other = start("cs"), start("cs", evaluation=evaluation)
    assert hop(*usual, 1, 2) == hop(*other, 1, 2)


@pytest.mark.parametrize("evaluation", ["node", "pce", "observer"])
def test_forecasts_include_the_charge_exactly(start, hop, evaluation):
    controller, executor = start(evaluation=evaluation)
    for node, layer in [(0, 0), (1, 2), (1, 1), (3, 0), (2, 2)]:
        expected = forecast(controller.view())
        done = hop(controller, executor, node, layer)
        assert done.costs.time_s == pytest.approx(expected.time_s[node, layer], rel=1e-9)
        assert done.costs.energy_j == pytest.approx(expected.energy_j[node, layer], rel=1e-9)
        assert done.costs.n_bytes == expected.n_bytes[node, layer]
        assert done.phases.node_energy_j == pytest.approx(expected.node_energy_j[node, layer], rel=1e-9)


def test_the_pce_is_sent_what_it_lacks(start, hop):
    rehearsal, executor = start(evaluation="pce", network=cut_off(1e4))
    hop(rehearsal, executor, 1, 0)
    phases = hop(rehearsal, executor, 0, 1).phases
    begin = rehearsal.history[1].start_s
    controller, executor = start(
        evaluation="pce", network=cut_off(begin + phases.receive_s + phases.compute_s / 2)
    )
    size = controller.view().layer_bytes
    ends = size[0] + size[-1]
    assert hop(controller, executor, 1, 0).costs.n_bytes == size.sum() + ends + size[1]
    assert controller.view().held_by_pce.all()
    known = controller.metric
    job = controller.dispatch(Assignment(0, 1))
    outcome = executor.run(job)
    assert not outcome.measured
    lost = controller.complete(job.id, outcome)
    assert (lost.delivered, lost.phases.interrupted, lost.gain) == (True, "send", 0)
    assert controller.metric == known, "as measured last"
    view = controller.view()
    assert view.holder == 0
    assert view.held_by_pce.tolist() == [False, True, False, True, False]
    upload = upload_bytes(view, view.lacking_pce)[1]
    assert upload[2] == ends + size[2] + size[3], "the next upload brings what this one did not"
    assert upload[1] == ends + size[2]


def test_what_the_pce_was_sent_is_not_lost(start, hop):
    """A holder that is lost costs nothing where the PCE has evaluated, and so has the model."""
    controller, executor = start(evaluation="pce", network=cut_off(9.0), pool={"recovery_s": 5}, wait_s=4)
    hop(controller, executor, 0, 0)
    kept = controller.progress
    assert controller.clock_s < 9
    while controller.clock_s < 30:
        controller.wait()
    assert [(r.lost, r.source, r.hops_lost) for r in controller.recoveries] == [(0, PCE, 0)]
    assert controller.progress is kept
    assert controller.view().legal[1, 1]


def test_a_node_that_is_interrupted_measures_nothing(start, hop):
    controller, executor = start(evaluation="node")
    known = controller.metric
    done = hop(controller, InterruptingExecutor(executor, 0, 0.5, 10), 1, 0)
    assert done.delivered
    assert (done.gain, controller.metric) == (0, known)
    assert done.phases.evaluate_s == 0
    following = hop(controller, executor, 1, 1)
    true = executor.pce.evaluate([controller.state])[0]
    assert following.metric == true
    assert following.gain == true - known, "the gain of both hops"
