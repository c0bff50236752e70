"""Frameworks that train the whole model at one place: centralised and federated averaging."""

import pytest
import torch

from snakegym.frameworks.centralised import Centralised
from snakegym.frameworks.fedavg import FedAvg


def test_centralised_is_plain_training_on_all_samples(make_problem, train_plainly, close):
    problem = make_problem((7, 12))
    framework = Centralised(problem)
    record = framework.round()
    job = problem.pooled_job(problem.initial, 0)
    assert sorted(job.indices.tolist()) == list(range(19))
    assert close(framework.state, train_plainly(problem, job))
    assert record.passes == 2
    assert record.node_memory_bytes == record.node_flops == 0


def test_centralised_sends_every_sample_once(make_problem):
    framework = Centralised(make_problem((7, 12)))
    first, second = framework.round(), framework.round()
    assert first.n_bytes == 19 * (5 + 8)  # a byte for each of 5 values, 8 for the label
    assert first.time_s == pytest.approx(12 * 13 * 8 / 8e3 + 0.5)  # the larger node at 8 kbit/s
    assert second.n_bytes == second.time_s == 0
    assert second.passes == 4


def test_fedavg_of_two_clients_is_the_mean_weighted_by_samples(make_problem, train_plainly):
    problem = make_problem((7, 12))
    framework = FedAvg(problem)
    framework.round()
    clients = [
        train_plainly(problem, problem.job(problem.initial, node, 0, problem.all_layers)) for node in (0, 1)
    ]
    for layer, a, b in zip(framework.state.layers, clients[0].layers, clients[1].layers, strict=True):
        for name, tensor in layer.items():
            assert torch.allclose(tensor, (7 * a[name] + 12 * b[name]) / 19, rtol=1e-4, atol=1e-6)


def test_fedavg_with_one_client_is_centralised(make_problem, close):
    problem = make_problem((15,))
    jobs = [problem.job(problem.initial, 0, 0, problem.all_layers), problem.pooled_job(problem.initial, 0)]
    assert jobs[0].indices.tolist() == jobs[1].indices.tolist()  # the orders of samples differ, by seed
    framework = FedAvg(problem)
    framework.round()
    assert close(framework.state, problem.engine.train(jobs[:1])[0].state)


def test_fedavg_accounts_by_hand(make_problem):
    problem = make_problem((7, 12))
    record = FedAvg(problem).round()
    model = problem.profile.n_bytes.sum()
    # Forward 2 FLOPs a weight; backward as much for weights, and for inputs of all layers but the first.
    first, rest = 2 * 5 * 6, 2 * (4 * 6 * 6 + 6 * 3)
    flops = [samples * 2 * (3 * rest + 2 * first) for samples in (7, 12)]
    assert record.n_bytes == 4 * model
    assert record.messages == 4
    assert record.synchronisations == 1
    assert record.node_flops == max(flops)
    assert record.all_flops == sum(flops)
    air = model * 8 / 16e3 + model * 8 / 8e3
    times = [air + 2 * 0.5 + flops[0] / 500, air + 2 * 0.5 + flops[1] / 1000]
    assert record.time_s == pytest.approx(max(times))
    busy = flops[0] / 1000 + flops[1] / 2000
    assert record.energy_j == pytest.approx(2.0 * busy + 3.0 * 2 * air)
    # Weights and their gradients; no optimiser state for plain SGD; activations of a batch of 4.
    assert record.node_memory_bytes == 2 * model + 4 * problem.profile.activation_bytes.sum()


def test_the_learning_rate_decays_from_round_to_round(make_problem, train_plainly, close):
    problem = make_problem((9,))
    framework = FedAvg(problem)
    framework.round()
    between = framework.state
    framework.round()
    job = problem.job(between, 0, 1, problem.all_layers)
    assert job.learning_rate == 0.05 * 0.5
    assert close(framework.state, train_plainly(problem, job))
