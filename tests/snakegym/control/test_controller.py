"""The Process Controller on small networks whose costs can be computed by hand."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from snakegym.control.controller import ProcessController
from snakegym.control.execution.executor import SimulatedExecutor
from snakegym.control.forecast import forecast
from snakegym.control.nodes.holdings import NodeData
from snakegym.control.records import Assignment
from snakegym.control.service import load_service
from snakegym.errors import SnakegymError
from snakegym.network.network import NodeProfile, constant_network
from snakegym.network.records import PCE
from snakegym.scenario import Scenario, load_scenario

N = 4


def scenario(mode: str, **process) -> Scenario:
    base = load_scenario("default")
    network = base.network.model_copy(update={"mode": mode, "nodes": N})
    return base.model_copy(update={"network": network, "process": base.process.model_copy(update=process)})


def start(
    mode: str, *, memory=8e6, battery=float("inf"), uplink=1e6, learning=None, **process
) -> tuple[ProcessController, SimulatedExecutor]:
    """A process on a network whose rates never change."""
    config = scenario(mode, **process)
    if learning is not None:
        config = config.model_copy(update={"learning": learning})
    service = load_service(config)
    drawn, executor = service.start(np.random.default_rng(0))
    profiles = [NodeProfile(f"n{i}", 1e7 * (i + 1), memory, 0.3, 0.5, battery_j=battery) for i in range(N)]
    network = constant_network(profiles, 0.5, uplink, 2e6, rtt_s=0.1)
    controller = ProcessController(
        config,
        service.profile,
        network,
        drawn.managers.data,
        drawn.state,
        drawn.metric,
        np.random.default_rng(1),
    )
    return controller, SimulatedExecutor(controller, executor.engine, executor.pce.validation)


def hop(controller: ProcessController, executor: SimulatedExecutor, node: int, layer: int):
    job = controller.dispatch(Assignment(node, layer))
    return controller.complete(job.id, executor.run(job))


@pytest.mark.parametrize("mode", ["p2p", "cs"])
def test_forecast_is_exact_where_rates_never_change(mode):
    controller, executor = start(mode)
    for node, layer in [(0, 0), (1, 1), (0, 2), (0, 3), (3, 4), (2, 5), (1, 6), (3, 0)]:
        expected = forecast(controller.view())
        done = hop(controller, executor, node, layer)
        assert done.costs.time_s == pytest.approx(expected.time_s[node, layer], rel=1e-9)
        assert done.costs.energy_j == pytest.approx(expected.energy_j[node, layer], rel=1e-9)
        assert done.costs.n_bytes == expected.n_bytes[node, layer]


def test_peer_to_peer_moves_only_what_the_receiver_lacks():
    controller, executor = start("p2p")
    size = controller.view().layer_bytes
    ends = size[0] + size[-1]
    first = hop(controller, executor, 0, 0)
    assert first.sender == PCE
    assert first.costs.n_bytes == size.sum(), "the first visit brings the whole model"
    stays = hop(controller, executor, 0, 1)
    assert stays.costs.n_bytes == 0
    new = hop(controller, executor, 1, 2)
    assert new.sender == 0
    assert new.costs.n_bytes == size.sum()
    back = hop(controller, executor, 0, 3)
    assert back.costs.n_bytes == ends + size[3], "first, last and the layer trained meanwhile"


def test_client_server_uploads_what_was_trained():
    controller, executor = start("cs")
    size = controller.view().layer_bytes
    ends = size[0] + size[-1]
    assert hop(controller, executor, 0, 0).costs.n_bytes == size.sum() + ends + size[1]
    assert hop(controller, executor, 0, 1).costs.n_bytes == ends + size[2], "it has what it uploaded"
    assert hop(controller, executor, 1, 2).sender == PCE
    assert controller.view().holder == PCE


@pytest.mark.parametrize(("trains", "ends"), [("last", [-1]), ("middle", [])])
def test_only_what_a_hop_trains_travels(trains, ends):
    learning = load_scenario("default").learning.model_copy(update={"trains": trains})
    controller, executor = start("p2p", learning=learning)
    size = controller.view().layer_bytes
    changed = size[ends].sum()
    assert hop(controller, executor, 0, 0).costs.n_bytes == size.sum()
    assert hop(controller, executor, 1, 2).costs.n_bytes == size.sum()
    before = controller.state
    assert hop(controller, executor, 0, 4).costs.n_bytes == changed + size[3]
    same = [a is b for a, b in zip(before.layers, controller.state.layers, strict=True)]
    assert [i for i, kept in enumerate(same) if not kept] == sorted({5, *(i % 9 for i in ends)})
    controller, executor = start("cs", learning=learning)
    assert hop(controller, executor, 0, 0).costs.n_bytes == size.sum() + changed + size[1]
    assert hop(controller, executor, 0, 1).costs.n_bytes == changed + size[2]
    expected = forecast(controller.view())
    done = hop(controller, executor, 2, 3)
    assert done.costs.n_bytes == expected.n_bytes[2, 3] == size.sum() + changed + size[4]
    assert done.costs.time_s == pytest.approx(expected.time_s[2, 3], rel=1e-9)


def test_where_the_middle_layer_alone_is_trained_late_layers_take_less_time_and_memory():
    learning = load_scenario("default").learning.model_copy(update={"trains": "middle"})
    base = load_scenario("default").model_dump() | {"model": {"name": "mlp"}}
    config = Scenario.model_validate(base).model_copy(update={"learning": learning})
    controller, _ = load_service(config).start(np.random.default_rng(0))
    layers = controller.view().layers
    assert (np.diff(layers.flops) < 0).all()
    assert (np.diff(layers.memory_bytes) < 0).all()


def test_a_lost_upload_changes_no_parameter_and_leaves_the_layer_open():
    controller, executor = start("cs", uplink=[1e6, 0.0, 1e6, 1e6])
    hop(controller, executor, 0, 0)
    state, metric = controller.state, controller.metric
    assert not controller.view().legal[1].any(), "a node that cannot upload is not reachable"
    job = controller.dispatch(Assignment(2, 1))
    outcome = executor.run(job)
    lost = replace(
        outcome,
        phases=replace(outcome.phases, interrupted="send", update_sent=False),
        layers={},
        delivered=False,
        metric=job.metric,
    )
    done = controller.complete(job.id, lost)
    assert controller.state is state
    assert controller.metric == metric
    assert done.gain == 0
    view = controller.view()
    assert not view.layers.trained_in_cycle[1]
    assert view.nodes.interruptions[2] == 1
    assert view.nodes.missing_bytes[2] == view.layer_bytes[[0, 2, -1]].sum(), "it trained over its copies"


def test_learning_rate_is_constant_in_a_cycle_and_decays_after_it():
    controller, executor = start("p2p")
    base, decay = controller.scenario.learning.learning_rate, controller.scenario.learning.decay
    rates = []
    for h in range(15):
        job = controller.dispatch(Assignment(h % N, h % 7))
        rates.append(job.training.learning_rate)
        controller.complete(job.id, executor.run(job))
    np.testing.assert_allclose(rates, [base] * 7 + [base * decay] * 7 + [base * decay**2])
    assert controller.cycle.index == 2


def test_a_layer_is_trained_once_a_cycle_unless_repeats_are_allowed():
    controller, executor = start("p2p")
    hop(controller, executor, 0, 3)
    assert not controller.view().legal[:, 3].any()
    with pytest.raises(SnakegymError, match="not legal"):
        controller.dispatch(Assignment(1, 3))
    controller, executor = start("p2p", repeat_layers=True)
    hop(controller, executor, 0, 3)
    assert controller.view().legal.all()


def test_memory_and_battery_mask_nodes():
    controller, _ = start("p2p", memory=1.0)
    assert not controller.view().legal.any()
    controller, _ = start("p2p", battery=1e-6)
    assert not controller.view().legal.any(), "no battery lasts for a hop"


def test_one_job_at_a_time_and_each_is_booked_once():
    controller, executor = start("p2p")
    job = controller.dispatch(Assignment(0, 0))
    with pytest.raises(SnakegymError, match="under way"):
        controller.dispatch(Assignment(1, 1))
    with pytest.raises(SnakegymError, match="under way"):
        controller.wait()
    outcome = executor.run(job)
    with pytest.raises(SnakegymError, match="job 99: not under way, expected the id"):
        controller.complete(99, outcome)
    done, clock, state = controller.complete(job.id, outcome), controller.clock_s, controller.state
    assert controller.complete(job.id, outcome) is done
    assert controller.abandon(job.id, "late") is done, "it is too late for that"
    following = controller.dispatch(Assignment(1, 1))
    assert controller.complete(job.id, outcome) is done, "while another is under way, too"
    assert (controller.clock_s, len(controller.history), controller.state) == (clock, 1, state)
    assert following.id != job.id


@pytest.mark.parametrize("mode", ["p2p", "cs"])
def test_an_abandoned_job_costs_its_time_and_changes_nothing(mode):
    controller, executor = start(mode)
    hop(controller, executor, 0, 0)
    state, clock, held = controller.state, controller.clock_s, controller.view().held.copy()
    job = controller.dispatch(Assignment(1, 1))
    outcome = executor.run(job)
    done = controller.abandon(job.id, "nothing heard", after_s=7)
    assert (done.abandoned, done.delivered, done.gain) == ("nothing heard", False, 0)
    assert controller.complete(job.id, outcome) is done, "an outcome that comes too late"
    assert controller.state is state
    assert controller.clock_s == clock + 7
    view = controller.view()
    assert (view.held == held).all()
    assert view.nodes.interruptions.tolist() == [0, 1, 0, 0]
    assert view.layers.open[1]
    again = controller.dispatch(Assignment(1, 1))
    assert again.id > job.id, "what the lost update is called is no name for another"
    assert controller.complete(again.id, executor.run(again)).delivered


def test_what_a_node_lost_is_fetched_anew_and_a_lost_model_is_gone_back_from():
    controller, executor = start("p2p")
    size = controller.view().layer_bytes
    hop(controller, executor, 0, 0)
    hop(controller, executor, 1, 1)
    kept = controller.state
    hop(controller, executor, 2, 2)
    controller.forget(0)
    assert controller.view().nodes.missing_bytes[0] == size.sum()
    assert controller.view().holder == 2
    controller.forget(2)
    (lost,) = controller.recoveries
    assert (lost.lost, lost.source, lost.hops_lost) == (2, 1, 1)
    assert controller.state is kept
    assert hop(controller, executor, 2, 2).sender == 1
    controller.dispatch(Assignment(0, 3))
    controller.forget(2)
    assert len(controller.recoveries) == 1, "first the hop under way has to be booked"


def test_a_job_is_plain_data_and_names_what_to_fetch_from_whom():
    controller, executor = start("p2p")
    first = controller.dispatch(Assignment(0, 0))
    assert first.fetch == tuple((layer, 0) for layer in range(9))
    assert first.receive.sender == PCE
    controller.complete(first.id, executor.run(first))
    second = controller.dispatch(Assignment(1, 1))
    assert dict(second.fetch)[1] == first.id
    assert second.receive.sender == 0
    assert b"torch" not in pickle.dumps(second)
    assert len(pickle.dumps(second)) < 4096


def test_budgets_end_the_process():
    budget = load_scenario("default").process.budget
    controller, executor = start("p2p", budget=budget.model_copy(update={"hops": 2}))
    hop(controller, executor, 0, 0)
    assert controller.ended == ""
    hop(controller, executor, 0, 1)
    assert controller.ended == "hops"
    controller, executor = start("p2p", budget=budget.model_copy(update={"energy_j": 1e-9}))
    hop(controller, executor, 0, 0)
    assert controller.ended == "energy"


def test_a_view_is_a_snapshot():
    controller, executor = start("p2p")
    before = controller.view()
    assert controller.view() is before
    hop(controller, executor, 0, 0)
    assert before.hops == 0
    assert before.nodes.visits[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        before.nodes.visits[0] = 1


def test_node_data_is_shared_by_copies():
    controller, _ = start("p2p")
    assert isinstance(controller.managers.data, NodeData)
