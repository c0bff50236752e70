"""What switches of local training do to a hop's decision, time and memory."""

from __future__ import annotations

import numpy as np
import pytest

from snakegym.control.controller import ProcessController
from snakegym.control.execution.executor import SimulatedExecutor
from snakegym.control.execution.interrupting import InterruptingExecutor
from snakegym.control.forecast import forecast
from snakegym.control.records import Assignment
from snakegym.control.service import load_service
from snakegym.data.divergence import divergence
from snakegym.network.network import NodeProfile, constant_network
from snakegym.scenario import LearningConfig, load_scenario

N = 4


def start(memory=8e6, mode="cs", **learning) -> tuple[ProcessController, SimulatedExecutor]:
    base = load_scenario("default")
    config = base.model_copy(
        update={
            "network": base.network.model_copy(update={"mode": mode, "nodes": N}),
            "learning": LearningConfig.model_validate({**base.learning.model_dump(), **learning}),
        }
    )
    service = load_service(config)
    drawn, executor = service.start(np.random.default_rng(0))
    profiles = [NodeProfile(f"n{i}", 1e7 * (i + 1), memory, 0.3, 0.5) for i in range(N)]
    network = constant_network(profiles, 0.5, 1e6, 2e6, rtt_s=0.1)
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


def hop(controller, executor, node, layer):
    job = controller.dispatch(Assignment(node, layer))
    return job, controller.complete(job.id, executor.run(job))


@pytest.mark.parametrize("measure", ["js", "kl"])
def test_divergence_switches_distillation_on_per_node_and_hop(measure):
    plain, _ = start()
    threshold = float(np.median(divergence(measure, plain.managers.data.labels, plain.managers.labels.mean)))
    controller, executor = start(distillation={"threshold": threshold, "measure": measure})
    assert controller.view().nodes.distils.sum() == N / 2
    for layer in range(5):
        nodes = controller.view().nodes
        known = divergence(measure, controller.managers.data.labels, controller.managers.labels.mean)
        assert (nodes.distils == (known >= threshold)).all()
        if measure == "js":
            assert (nodes.divergence == known).all()
        job, _ = hop(controller, executor, layer % N, layer)
        assert job.training.distil == nodes.distils[layer % N]


def test_off_unless_configured():
    for controller, _ in (start(), start(distillation={"threshold": 0, "weight": 0})):
        nodes = controller.view().nodes
        assert not nodes.distils.any()
        assert not nodes.teacher_flops.any()
        assert not nodes.teacher_bytes.any()
        assert not controller.dispatch(Assignment(0, 0)).training.distil


def test_the_teacher_is_charged_and_forecast():
    controller, executor = start(distillation={"threshold": 0})
    plain, _ = start()
    view = controller.view()
    expected = forecast(view)
    forward = load_service("default").profile.forward_flops.sum()
    assert view.nodes.teacher_flops == pytest.approx(view.nodes.samples * forward)
    assert (view.nodes.teacher_bytes == view.nodes.samples * 10 * 4).all()
    job, done = hop(controller, executor, 1, 2)
    without = plain.dispatch(Assignment(1, 2))
    assert job.flops == pytest.approx(without.flops + view.nodes.samples[1] * forward)
    assert done.costs.time_s == pytest.approx(expected.time_s[1, 2])
    assert done.costs.energy_j == pytest.approx(expected.energy_j[1, 2])
    assert done.batches == job.training.n_batches


def test_soft_targets_need_room():
    service = load_service("default")
    memory = float(service.profile.hop_memory(service.scenario.learning).max()) + 1
    assert start(memory=memory)[0].view().legal.all()
    assert not start(memory=memory, distillation={"threshold": 0})[0].view().legal.all()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_an_interrupted_teacher_leaves_less_for_training(share):
    controller, executor = start(distillation={"threshold": 0}, batch_size=1)
    executor = InterruptingExecutor(executor, layer=0, share=share, given_up_s=10)
    job, done = hop(controller, executor, 0, 0)
    trained = max(0.0, share * job.flops - job.teacher_flops) / (job.flops - job.teacher_flops)
    assert done.batches == pytest.approx(trained * job.training.n_batches, abs=1)


@pytest.mark.parametrize("distillation", [None, {"threshold": 0}])
def test_early_exit_is_charged_by_the_batches_trained(distillation):
    early = {"patience": 1, "min_improvement": 1e3}  # the second epoch is always one too many
    controller, executor = start(epochs=6, early_exit=early, distillation=distillation)
    expected, executor_2 = start(epochs=2, distillation=distillation)
    job, done = hop(controller, executor, 1, 2)
    _, short = hop(expected, executor_2, 1, 2)
    assert done.batches == short.batches == 2 * job.training.batches_per_epoch
    assert done.metric == short.metric
    assert done.costs.time_s == pytest.approx(short.costs.time_s)
    assert done.costs.energy_j == pytest.approx(short.costs.energy_j)
    assert done.phases.interrupted is None
    training = job.flops - job.teacher_flops
    assert done.phases.trained_share == pytest.approx((job.teacher_flops + training / 3) / job.flops)


def test_early_exit_before_an_interruption_is_none():
    early = {"patience": 1, "min_improvement": 1e3}
    controller, executor = start(epochs=4, early_exit=early)
    _, done = hop(controller, InterruptingExecutor(executor, 0, 0.6, 10), 0, 0)
    assert done.phases.interrupted is None
    assert done.delivered
    controller, executor = start(epochs=4, early_exit=early)
    _, done = hop(controller, InterruptingExecutor(executor, 0, 0.3, 10), 0, 0)
    assert done.phases.interrupted == "compute"


def test_quantised_layers_need_less_memory():
    plain, int8 = start()[0].view(), start(frozen="int8")[0].view()
    assert (int8.layers.memory_bytes < plain.layers.memory_bytes).all()
    assert (int8.layers.flops == plain.layers.flops).all()


def test_frozen_layers_kept_as_int8_alone_have_to_be_received_anew():
    """CS mode: what is held as it is was booked in memory as it is, and nothing else."""
    controller, executor = start(frozen="int8")
    size = controller.view().layer_bytes
    hop(controller, executor, 1, 2)
    view = controller.view()
    assert np.flatnonzero(view.held[1]).tolist() == [0, 3, 8]
    assert view.nodes.missing_bytes[1] == size.sum() - size[[0, 3, 8]].sum()
    expected = forecast(view)
    _, done = hop(controller, executor, 1, 3)
    assert done.costs.n_bytes == expected.n_bytes[1, 3]
    assert np.flatnonzero(controller.view().held[1]).tolist() == [0, 4, 8]


def test_who_hands_quantised_layers_on_has_room_for_the_originals():
    """P2P: nobody else has them, so they are held, and booked in memory beside the int8 ones."""
    plain, int8 = start(mode="p2p")[0].view(), start(mode="p2p", frozen="int8")
    profile, size = load_service("default").profile, plain.layer_bytes
    hop(*int8, 1, 2)
    view = int8[0].view()
    assert view.held[1].all()
    frozen = [i for i in range(len(size)) if i not in (0, 3, 8)]
    stored = view.layers.memory_bytes[2] - plain.layers.memory_bytes[2]
    largest = size[frozen].max()
    assert stored == profile.low_bytes["int8"][frozen].sum() + largest, "and a layer cast up to compute with"
