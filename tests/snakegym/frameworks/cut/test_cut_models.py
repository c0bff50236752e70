"""Frameworks that cut the model: split learning, SplitFed, accelerated FL, walking snakes."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from snakegym.frameworks.cut.accelerated import AcceleratedFL
from snakegym.frameworks.cut.pipeline import forward_backward, train_pipeline
from snakegym.frameworks.cut.split import SplitLearning
from snakegym.frameworks.cut.splitfed import SplitFed
from snakegym.frameworks.cut.walking import RandomWalkingSnakes
from snakegym.frameworks.fedavg import FedAvg
from snakegym.frameworks.ledger import batch_sizes
from snakegym.frameworks.problem import balanced_cuts, runs
from snakegym.models.state import ModelState
from snakegym.network.costs import training_flops

CLIENT = (5 * 6 + 6 + 6 * 6 + 6) * 4
"""Bytes of the first two layers."""
SMASHED = 6 * 4
"""Bytes of a sample's activations at the cut."""


def gradients(model):
    return [p.grad.clone() for p in model.parameters()]


@pytest.mark.parametrize("bounds", [(0, 2, 6), (0, 1, 6), (0, 5, 6), (0, 1, 2, 3, 4, 5, 6)])
def test_gradients_of_a_cut_model_are_those_of_the_whole(make_problem, bounds):
    problem = make_problem()
    model = copy.deepcopy(problem.model).requires_grad_(True)
    model.load(problem.initial)
    inputs, targets = problem.data.train.inputs, problem.data.train.targets
    whole = functional.cross_entropy(model(inputs), targets)
    whole.backward()
    expected = gradients(model)
    model.zero_grad()
    loss = forward_backward([[model.layers[i] for i in part] for part in runs(bounds)], inputs, targets)
    assert loss == whole
    for found, right in zip(gradients(model), expected, strict=True):
        assert torch.allclose(found, right, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_cut_training_is_the_engines(make_problem, close, optimizer):
    problem = make_problem(optimizer=optimizer, learning_rate=0.01)
    job = problem.job(problem.initial, 1, 0, problem.all_layers)
    whole = problem.engine.train([job])[0]
    cut = train_pipeline(problem.model, job, [range(2), range(2, 6)])
    assert close(cut.state, whole.state)
    assert cut.loss == pytest.approx(whole.loss, rel=1e-5)
    assert cut.batches == whole.batches


def test_each_part_clips_its_own_gradients(make_problem):
    """With a tiny norm, both parts move by learning rate times norm in a step."""
    problem = make_problem((4,), epochs=1, clip_norm=1e-3)
    job = problem.job(problem.initial, 0, 0, problem.all_layers)
    result = train_pipeline(problem.model, job, [range(2), range(2, 6)])
    for part in (range(2), range(2, 6)):
        moves = [
            (result.state.layers[i][name] - tensor).square().sum()
            for i in part
            for name, tensor in job.state.layers[i].items()
        ]
        assert torch.stack(moves).sum().sqrt() == pytest.approx(0.05 * 1e-3, rel=1e-3)


def test_split_learning_relays_the_model(make_problem, train_plainly, close):
    problem = make_problem((7, 12))
    framework = SplitLearning(problem)
    framework.round()
    after_first = train_plainly(problem, problem.job(problem.initial, 0, 0, problem.all_layers))
    after_both = train_plainly(problem, problem.job(after_first, 1, 0, problem.all_layers))
    assert close(framework.state, after_both)


def test_split_learning_accounts_by_hand(make_problem):
    problem = make_problem((7, 12))
    framework = SplitLearning(problem)
    first, second = framework.round(), framework.round()
    # 2 epochs of 7 and 12 samples: activations and a label up, gradients down; the layers go on twice.
    moved = 2 * 19 * (2 * SMASHED + 8) + 2 * CLIENT
    assert first.n_bytes == second.n_bytes == moved
    batches = 2 * (2 + 3)
    assert first.synchronisations == batches
    assert first.messages == 2 * batches + 2
    forward, backward = 2 * (30 + 36), 2 * (30 + 36 + 36)
    assert first.node_flops == 2 * 12 * (forward + backward)
    air_up, air_down = 2 * 19 * (SMASHED + 8) * 8 / 8e3, 2 * 19 * SMASHED * 8 / 16e3
    compute = (forward + backward) * 2 * (7 / 500 + 12 / 1000)
    relay = CLIENT * 8 / 16e3 + CLIENT * 8 / 8e3 + 3 * 0.5  # from the server at 16, node to node at 8 kbit/s
    assert first.time_s == pytest.approx(air_up + air_down + 2 * batches * 0.5 + compute + relay)
    assert second.time_s == pytest.approx(first.time_s + CLIENT * 8 / 16e3 + 0.5)  # now both from a node


@pytest.mark.parametrize("shared_server", [False, True])
def test_splitfed_with_one_client_is_split_learning(make_problem, close, shared_server):
    problem = make_problem((11,))
    fed, split = SplitFed(problem, shared_server=shared_server), SplitLearning(problem)
    fed.round()
    split.round()
    assert close(fed.state, split.state)


def test_splitfed_with_a_server_copy_each_is_federated_averaging(make_problem, close):
    problem = make_problem((7, 12, 5))
    fed, avg = SplitFed(problem), FedAvg(problem)
    for _ in range(2):
        fed.round()
        avg.round()
    assert close(fed.state, avg.state)


def test_splitfed_with_one_server_part_trains_it_client_by_client(make_problem, train_plainly, close):
    problem = make_problem((7, 12))
    framework = SplitFed(problem, shared_server=True)
    framework.round()
    candidates = []
    for order in ([0, 1], [1, 0]):
        server, clients = problem.initial, {}
        for node in order:
            job = problem.job(server, node, 0, problem.all_layers)
            clients[node] = train_plainly(problem, job)
            server = problem.initial.replace({i: clients[node].layers[i] for i in range(2, 6)})
        mean = {
            i: {
                name: (7 * clients[0].layers[i][name] + 12 * clients[1].layers[i][name]) / 19
                for name in layer
            }
            for i, layer in enumerate(problem.initial.layers[:2])
        }
        candidates.append(server.replace(mean))
    assert sum(close(framework.state, candidate) for candidate in candidates) == 1


def test_splitfed_clients_work_side_by_side(make_problem):
    problem = make_problem((7, 12))
    record = SplitFed(problem).round()
    assert record.n_bytes == 2 * 19 * (2 * SMASHED + 8) + 4 * CLIENT
    assert record.synchronisations == 2 * (2 + 3) + 1
    assert record.messages == 4 * (2 + 3) + 4
    assert record.time_s < SplitLearning(problem).round().time_s


def test_accelerated_clients_learn_from_their_own_loss_alone(make_problem):
    """Whatever lies on the server, client layers and heads end the same."""
    problem = make_problem((7, 12))
    reference = AcceleratedFL(problem)
    reference.round()
    other = AcceleratedFL(problem)
    doubled = {i: {k: 2 * t for k, t in other.state.layers[i].items()} for i in range(2, 6)}
    other.state = other.state.replace(doubled)
    other.round()
    for i in (0, 1, -1):
        for name, tensor in reference.state.layers[i].items():
            assert torch.equal(other.state.layers[i][name], tensor)
    assert not torch.equal(other.state.layers[3]["linear.weight"], reference.state.layers[3]["linear.weight"])


def test_accelerated_first_step_by_hand(make_problem):
    """One client, one batch: the client's step follows the head's loss, the server's the model's."""
    problem = make_problem((4,), epochs=1)
    framework = AcceleratedFL(problem)
    model = copy.deepcopy(problem.model).requires_grad_(True)
    model.load(problem.initial)
    head = {name: t.clone().requires_grad_(True) for name, t in framework.state.layers[-1].items()}
    inputs, targets = problem.data.train.inputs, problem.data.train.targets
    smashed = model.layers[1](model.layers[0](inputs))
    local = functional.linear(smashed.flatten(1), head["1.weight"], head["1.bias"])
    functional.cross_entropy(local, targets).backward()
    x = smashed.detach()
    for layer in model.layers[2:]:
        x = layer(x)
    functional.cross_entropy(x, targets).backward()
    expected = [
        {name: p.detach() - 0.05 * p.grad for name, p in model.parameters_of(i).items()} for i in range(6)
    ]
    expected.append({name: t.detach() - 0.05 * t.grad for name, t in head.items()})
    framework.round()
    for layer, right in zip(framework.state.layers, expected, strict=True):
        for name, tensor in layer.items():
            assert torch.allclose(tensor, right[name], rtol=1e-4, atol=1e-6)


def test_accelerated_accounts_by_hand(make_problem):
    problem = make_problem((7, 12))
    framework = AcceleratedFL(problem)
    record = framework.round()
    head = (6 * 3 + 3) * 4
    assert record.n_bytes == 2 * 19 * (SMASHED + 8) + 4 * (CLIENT + head)
    assert record.synchronisations == 1
    assert record.node_flops == 2 * 12 * (3 * 2 * (30 + 36 + 18) - 2 * 30)
    assert framework.node_memory() > 2 * (CLIENT + head)
    assert len(framework.model_state) == 6


def test_accelerated_activations_leave_while_the_node_computes(make_problem):
    """Where computing is the bottleneck, only the last batch's activations cost time of their own."""
    problem = make_problem((8, 8), epochs=1)
    record = AcceleratedFL(problem).round()
    own = CLIENT + (6 * 3 + 3) * 4
    batch_s = 4 * (3 * 2 * (30 + 36 + 18) - 2 * 30) / 500  # on the slower node, two batches
    air_s = 4 * (SMASHED + 8) * 8 / 8e3
    assert batch_s > air_s
    ends = own * 8 / 16e3 + 0.5 + 2 * batch_s + air_s + own * 8 / 8e3 + 0.5
    assert record.time_s == pytest.approx(ends)


def test_walking_snakes_train_the_model_head_by_head(make_problem, train_plainly, close):
    problem = make_problem((7, 12, 5, 6))
    framework = RandomWalkingSnakes(problem)
    heads = framework._heads()
    framework.round()
    state = problem.initial
    for head in heads:
        state = train_plainly(problem, problem.job(state, head, 0, problem.all_layers))
    assert sorted(heads) == [0, 1, 2, 3]
    assert close(framework.state, state)


def test_walking_snakes_account_by_hand(make_problem):
    problem = make_problem((7, 12, 5, 6))
    framework = RandomWalkingSnakes(problem)
    record = framework.round()
    assert framework.parts == [range(0, 2), range(2, 4), range(4, 6)]
    batches = 2 * (2 + 3 + 2 + 2)
    assert record.synchronisations == 2 * batches
    samples = 2 * 30
    moved = 4 * problem.profile.n_bytes.sum()  # at each of 4 moves all parts change their place
    assert record.n_bytes == samples * 2 * (2 * SMASHED + 8) + moved
    assert record.all_flops == samples * training_flops(problem.profile.forward_flops.tolist(), range(6))


@pytest.mark.parametrize("nodes", [2, 3, 4, 5, 9])
def test_a_walking_snake_never_bites_itself(make_problem, nodes):
    framework = RandomWalkingSnakes(make_problem((3,) * nodes, epochs=1))
    for _ in range(4):
        framework.round()
        assert len(set(framework._snake)) == len(framework.parts) == min(3, nodes // 2 + 1)


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=7), st.data())
def test_balanced_cuts_have_the_smallest_largest_part(work, data):
    from itertools import combinations, pairwise

    parts = data.draw(st.integers(1, len(work)))

    def heaviest(bounds):
        return max(sum(work[a:b]) for a, b in pairwise(bounds))

    every = [(0, *inner, len(work)) for inner in combinations(range(1, len(work)), parts - 1)]
    found = balanced_cuts(work, parts)
    assert found in every
    assert heaviest(found) == pytest.approx(min(map(heaviest, every)))


@given(st.lists(st.floats(0, 100), min_size=2, max_size=8), st.data())
def test_parts_of_a_model_cost_what_the_whole_costs(forward, data):
    cut = data.draw(st.integers(1, len(forward) - 1))
    near, far = forward[:cut], forward[cut:]
    parts = training_flops(near, range(cut)) + training_flops(far, range(len(far)), pass_on=True)
    assert parts == pytest.approx(training_flops(forward, range(len(forward))))


@given(st.integers(1, 50), st.integers(1, 20), st.integers(1, 3))
def test_batch_sizes_are_those_of_the_training(samples, batch_size, epochs):
    sizes = list(batch_sizes(samples, batch_size, epochs))
    assert sum(sizes) == samples * epochs
    assert len(sizes) == -(-samples // batch_size) * epochs
    assert max(sizes) <= batch_size


def test_output_bytes_are_those_of_every_layers_activations(make_problem):
    assert make_problem().profile.output_bytes.tolist() == [SMASHED] * 5 + [3 * 4]


def test_the_state_of_a_model_is_left_alone(make_problem):
    problem = make_problem()
    before = [{k: t.clone() for k, t in layer.items()} for layer in problem.initial.layers]
    for framework in (SplitLearning, SplitFed, AcceleratedFL, RandomWalkingSnakes, FedAvg):
        framework(problem).round()
    assert isinstance(problem.initial, ModelState)
    for layer, old in zip(problem.initial.layers, before, strict=True):
        assert all(torch.equal(layer[name], old[name]) for name in layer)
