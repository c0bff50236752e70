"""Snake Learning as a framework: the controller's process with the nodes in turn."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from snakegym.control.controller import ProcessController
from snakegym.errors import SnakegymError
from snakegym.frameworks.fedavg import FedAvg
from snakegym.frameworks.memory import check_hop_memory
from snakegym.frameworks.snake import FIFTH_LAYER, SnakeLearning
from snakegym.learning.jobs import LocalTraining
from snakegym.models.state import ModelState
from snakegym.network.network import NodeProfile, constant_network
from snakegym.scenario import DistillationConfig

NODES = (5, 6, 7, 8)


def hops(framework):
    return [(note["node"], note["layer"]) for note in framework.log()["hops"]]


def same(a, b):
    pairs = zip(a.layers, b.layers, strict=True)
    return all(torch.equal(x[name], y[name]) for x, y in pairs for name in x)


def test_nodes_and_layers_come_in_turn(make_problem):
    framework = SnakeLearning(make_problem(NODES, middle=4))
    for _ in range(2):
        framework.round()
    assert hops(framework) == [(0, 0), (1, 1), (2, 2), (3, 3)] * 2


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"order": "reverse"}, [(0, 3), (1, 2), (2, 1), (3, 0)] * 2),
        ({"rotate": True}, [(0, 0), (1, 1), (2, 2), (3, 3), (1, 0), (2, 1), (3, 2), (0, 3)]),
    ],
)
def test_other_orders(make_problem, options, expected):
    framework = SnakeLearning(make_problem(NODES), **options)
    for _ in range(2):
        framework.round()
    assert hops(framework) == expected


def test_random_order_trains_every_layer_once_a_cycle(make_problem):
    framework = SnakeLearning(make_problem(NODES), order="random")
    for _ in range(4):
        framework.round()
    layers = [layer for _, layer in hops(framework)]
    cycles = [layers[i : i + 4] for i in range(0, 16, 4)]
    assert all(sorted(cycle) == [0, 1, 2, 3] for cycle in cycles)
    assert len({tuple(cycle) for cycle in cycles}) > 1


def test_a_round_is_serpentine_training_by_hand(make_problem):
    """Each hop trains first, one middle and last layer on its node's samples from where the last ended."""
    problem = make_problem(NODES)
    framework = SnakeLearning(problem)
    seeds = []
    train = problem.engine.train

    def spy(jobs):
        seeds.extend(job.seed for job in jobs)
        return train(jobs)

    problem.engine.train = spy
    record = framework.round()
    state = problem.initial
    for node, seed in enumerate(seeds):
        job = LocalTraining(
            state,
            node,
            problem.nodes.train,
            problem.nodes.indices[node],
            problem.scenario.learning,
            0.05,
            seed,
        )
        state = train([job])[0].state
    assert same(framework.state, state)
    assert record.passes == 2
    assert record.synchronisations == 0


def test_bytes_peer_to_peer_by_hand(make_problem):
    """At first every node needs the whole model; later all but the middle layer that it alone trains."""
    problem = make_problem(NODES)
    framework = SnakeLearning(problem, "p2p")
    first, second = framework.round(), framework.round()
    model, middle = problem.profile.n_bytes.sum(), problem.profile.n_bytes[1:-1].sum()
    assert first.n_bytes == 4 * model
    assert second.n_bytes == 4 * model - middle
    assert first.messages == second.messages == 4


def test_bytes_through_the_server_by_hand(make_problem):
    """In addition every node uploads what it trained: first, its middle and last layer."""
    problem = make_problem(NODES)
    framework = SnakeLearning(problem, "cs")
    first, second = framework.round(), framework.round()
    sizes = problem.profile.n_bytes
    model, middle, ends = sizes.sum(), sizes[1:-1].sum(), sizes[0] + sizes[-1]
    assert first.n_bytes == 4 * model + middle + 4 * ends
    assert second.n_bytes == 4 * model + 4 * ends
    assert first.messages == second.messages == 8
    fedavg = FedAvg(problem).round()
    assert fedavg.n_bytes == 8 * model
    assert second.n_bytes / fedavg.n_bytes == pytest.approx(0.5 * (1 + ends / model))


def test_how_the_model_travels_does_not_change_it(make_problem):
    problem = make_problem(NODES)
    frameworks = [SnakeLearning(problem, mode) for mode in ("p2p", "cs")]
    for framework in frameworks:
        framework.round()
        framework.round()
    assert same(frameworks[0].state, frameworks[1].state)


def test_an_interrupted_layer_is_never_trained_and_the_process_goes_on(make_problem):
    problem = make_problem((4, 5, 6, 7, 8), middle=5)
    framework = SnakeLearning(problem, interrupted=True)
    record = framework.round()
    framework.round()
    assert [layer for _, layer in hops(framework)] == [0, 1, 2, 3, 4] * 2
    untouched = [i for i in range(7) if framework.state.layers[i] is problem.initial.layers[i]]
    assert untouched == [FIFTH_LAYER + 1]
    assert record.passes == pytest.approx(2 * (30 - 7) / 30)
    assert record.time_s < 1.1 * SnakeLearning(problem).round().time_s  # ten seconds instead of training


def test_memory_and_flops_are_those_of_the_heaviest_hop(make_problem):
    problem = make_problem(NODES)
    record = SnakeLearning(problem).round()
    memory = problem.profile.hop_memory(problem.scenario.learning)
    flops = problem.profile.training_flops()
    assert record.node_memory_bytes == memory.max()
    assert record.all_flops == pytest.approx(sum(2 * n * f for n, f in zip(NODES, flops, strict=True)))
    fedavg = FedAvg(problem).round()
    assert record.node_memory_bytes < fedavg.node_memory_bytes
    assert record.node_flops < fedavg.node_flops


def with_process(problem, **fields):
    base = problem.scenario
    network = base.network.model_copy(update={"mode": "cs"})
    process = base.process.model_copy(update=fields)
    return replace(problem, scenario=base.model_copy(update={"network": network, "process": process}))


@pytest.mark.parametrize("mode", ["p2p", "cs"])
def test_copies_after_going_on_are_the_models_that_their_metrics_say(make_problem, mode):
    problem = make_problem(NODES, learning_rate=0.5)
    framework = SnakeLearning(problem, mode)
    for _ in range(2):
        framework.round()
    resumed = SnakeLearning(problem, mode)
    resumed.restore(framework.checkpoint())
    checkpoint = resumed.checkpoint()
    model = checkpoint.journal["process"]["model"]
    layers = dict(zip(map(tuple, model["layers"]), checkpoint.layers, strict=True))
    copies = model["copies"]
    assert len(copies) == (5 if mode == "p2p" else 1)
    for copy in (c["progress"] for c in copies):
        state = ModelState(tuple(layers[key] for key in enumerate(copy["versions"])))
        (found,) = problem.engine.evaluate([state], problem.data.validation)
        assert found.score == copy["metric"]


def test_several_nodes_in_a_hop_are_all_booked(make_problem):
    """Four nodes, two to a hop: a round is two hops, with the costs of all who took part."""
    problem = with_process(make_problem(NODES), parallel=2)
    framework = SnakeLearning(problem, "cs")
    record = framework.round()
    parts = [part for hop in framework.log()["hops"] for part in hop["parts"]]
    assert len(parts) == 4
    work = 2 * sum(NODES[part["node"]] for part in parts)
    assert record.passes == work / sum(NODES)
    flops = problem.profile.training_flops()
    layers = [hop["layer"] for hop in framework.log()["hops"] for _ in hop["parts"]]
    expected = [2 * NODES[part["node"]] * flops[layer] for part, layer in zip(parts, layers, strict=True)]
    assert record.all_flops == pytest.approx(sum(expected))
    assert record.messages == 8
    phases = [part["phases"] for part in parts]
    assert record.n_bytes == sum(p["bytes_sent"] for p in phases)
    first = {part["node"] for part in framework.log()["hops"][0]["parts"]}
    assert framework.log()["hops"][1]["node"] == min(set(range(4)) - first)


def test_peer_to_peer_has_one_node_in_a_hop_whatever_the_scenario_says(make_problem):
    problem = make_problem(NODES)
    wide = SnakeLearning(with_process(problem, parallel=2), "p2p")
    assert wide.round() == SnakeLearning(problem, "p2p").round()


def test_a_node_that_never_fits_is_named_before_anything_is_trained(make_problem):
    problem = make_problem(NODES)
    needed = problem.profile.hop_memory(problem.scenario.learning)
    profiles = [NodeProfile(f"n{i}", 1e3, needed.max() - 1 if i == 2 else 1e6, 1.0, 1.0) for i in range(4)]
    tight = replace(problem, network=constant_network(profiles, 0.5, 8e3, 16e3))
    with pytest.raises(SnakegymError) as error:
        check_hop_memory(tight)
    layer = int(needed.argmax())
    assert f"node 2 (n2) has {needed.max() - 1:.0f} bytes of memory" in str(error.value)
    assert f"middle layer {layer} needs {needed.max():.0f}" in str(error.value)
    check_hop_memory(problem)


def test_a_node_that_distils_needs_room_for_its_teachers_outputs(make_problem):
    distillation = DistillationConfig(threshold=0.0, weight=1.0)
    problem = make_problem(NODES, distillation=distillation)
    needed = float(problem.profile.hop_memory(problem.scenario.learning).max())
    outputs = 4 * 3 * max(NODES)  # float32 of each of three classes, a sample
    for room, fits in ((outputs, True), (outputs - 1, False)):
        profiles = [NodeProfile(f"n{i}", 1e3, needed + room, 1.0, 1.0) for i in range(4)]
        tight = replace(problem, network=constant_network(profiles, 0.5, 8e3, 16e3))
        if fits:
            check_hop_memory(tight)
        else:
            with pytest.raises(SnakegymError, match="node 3"):
                check_hop_memory(tight)


def test_a_node_that_never_fits_is_an_error_in_training_too(make_problem):
    problem = make_problem(NODES)
    profiles = [NodeProfile(f"n{i}", 1e3, 1e6 if i else 10.0, 1.0, 1.0) for i in range(4)]
    tight = replace(problem, network=constant_network(profiles, 0.5, 8e3, 16e3))
    with pytest.raises(SnakegymError, match="node 0"):
        SnakeLearning(tight).round()


@pytest.mark.parametrize("dead", ["availability", "uplink", "downlink"])
def test_a_node_that_never_comes_back_is_named_at_once(make_problem, monkeypatch, dead):
    problem = make_problem(NODES)
    rates = {"availability": 0.5, "uplink": 8e3, "downlink": 16e3}
    rates[dead] = np.array([rates[dead], 0.0, rates[dead], rates[dead]])
    profiles = [NodeProfile(f"n{i}", 1e3, 1e6, 1.0, 1.0) for i in range(4)]
    patient = constant_network(profiles, *rates.values(), timeout_s=30 * 86400.0)
    waits = []
    monkeypatch.setattr(ProcessController, "wait", lambda _: waits.append(1))
    framework = SnakeLearning(replace(problem, network=patient))
    with pytest.raises(SnakegymError, match="node 1: found it out of reach"):
        framework.round()
    assert not waits
