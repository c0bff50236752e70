import copy
import gc
import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional

from snakegym.data.datasets import Dataset, load_data
from snakegym.errors import SnakegymError
from snakegym.learning.jobs import LocalTraining
from snakegym.learning.sequential import SequentialEngine
from snakegym.models.layered import LayeredModel
from snakegym.models.state import ModelState
from snakegym.models.zoo import build_model
from snakegym.scenario import AugmentationConfig, DataConfig, EarlyExitConfig, LearningConfig, ModelConfig

MIDDLE = 3


def toy_data(n=50, n_classes=4):
    g = torch.Generator().manual_seed(0)
    return Dataset(torch.randn(n, 6, generator=g), torch.randint(n_classes, (n,), generator=g), n_classes)


def mlp(middle=MIDDLE):
    return build_model(ModelConfig(options={"width": 8, "middle": middle}), (6,), 4)


def noisy(normalise):
    """Every middle layer drops out, and keeps running statistics if wanted."""

    def middle():
        norm = nn.BatchNorm1d(8) if normalise else nn.Identity()
        return nn.Sequential(nn.Linear(8, 8), norm, nn.ReLU(), nn.Dropout(0.5))

    return LayeredModel([nn.Linear(6, 8), *(middle() for _ in range(MIDDLE)), nn.Linear(8, 4)])


@pytest.fixture(params=["mlp", "dropout", "batchnorm"])
def model(request):
    return {"mlp": mlp, "dropout": lambda: noisy(False), "batchnorm": lambda: noisy(True)}[request.param]()


def job(state, middle=1, **changes):
    fields = {
        "data": toy_data(),
        "indices": torch.arange(0, 40, 2),
        "config": LearningConfig(batch_size=8, epochs=2),
        "learning_rate": 0.01,
        "seed": 5,
    }
    return LocalTraining(state, middle, **(fields | changes))


def flat(state):
    return [t for layer in state.layers for t in layer.values()]


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(flat(a), flat(b), strict=True))


@pytest.mark.parametrize(
    ("trains", "ends"), [("both-ends", (0, MIDDLE + 1)), ("last", (MIDDLE + 1,)), ("middle", ())]
)
@pytest.mark.parametrize("middle", range(MIDDLE))
def test_only_the_assigned_layer_and_the_trained_ends_change(model, middle, trains, ends):
    state = model.initial_state(0)
    values = [t.clone() for t in flat(state)]
    config = LearningConfig(batch_size=8, trains=trains)
    (result,) = SequentialEngine(model).train([job(state, middle, config=config)])
    for i in range(model.n_layers):
        if i in (middle + 1, *ends):
            for name in dict(model.layers[i].named_parameters()):
                assert not torch.equal(result.state.layers[i][name], state.layers[i][name])
        else:
            assert result.state.layers[i] is state.layers[i]
    assert all(torch.equal(a, b) for a, b in zip(flat(state), values, strict=True))


@pytest.mark.parametrize(
    ("trains", "expected"), [("both-ends", [0, 2, 3]), ("last", [0, 2, 3]), ("middle", [2])]
)
def test_a_head_tied_to_the_first_layer_is_trained_with_it(trains, expected):
    first = nn.Linear(6, 6)
    last = nn.Linear(6, 6)
    last.weight = first.weight
    model = LayeredModel([first, nn.Linear(6, 6), nn.Linear(6, 6), last])
    state = model.initial_state(0)
    data = Dataset(torch.randn(12, 6, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 6, 6)
    config = LearningConfig(trains=trains, batch_size=4)
    for frozen in ("fp32", "bf16", "int8", "nf4"):
        config = config.model_copy(update={"frozen": frozen})
        (result,) = SequentialEngine(model).train(
            [job(state, data=data, indices=torch.arange(12), config=config)]
        )
        changed = [i for i in range(4) if result.state.layers[i] is not state.layers[i]]
        assert changed == expected
        assert all(
            not torch.equal(result.state.layers[i][name], state.layers[i][name])
            for i in changed
            for name in state.layers[i]
        )


def test_every_layer_learns_when_its_turn_comes(model):
    engine, state = SequentialEngine(model), model.initial_state(0)
    for hop in range(2 * MIDDLE):
        middle = hop % MIDDLE
        (result,) = engine.train([job(state, middle, seed=hop)])
        for name in dict(model.layers[middle + 1].named_parameters()):
            assert not torch.equal(result.state.layers[middle + 1][name], state.layers[middle + 1][name])
        state = result.state


def test_result_depends_on_the_job_alone(model):
    state = model.initial_state(0)
    busy = SequentialEngine(copy.deepcopy(model))
    for middle in range(MIDDLE):  # other hops before: nothing of theirs may show
        busy.train([job(model.initial_state(9), middle, seed=middle)])
    torch.manual_seed(1)
    (first,) = SequentialEngine(model).train([job(state)])
    torch.manual_seed(2)
    (second,) = busy.train([job(state)])
    assert same(first.state, second.state)
    assert first.loss == second.loss
    (other,) = busy.train([job(state, seed=6)])
    assert not same(first.state, other.state)


def test_whoever_calls_may_want_no_gradients(model):
    engine, state = SequentialEngine(model), model.initial_state(0)
    (expected,) = engine.train([job(state)])
    with torch.no_grad():
        (found,) = engine.train([job(state)])
    assert same(found.state, expected.state)


def test_global_generator_untouched(model):
    engine, state = SequentialEngine(model), model.initial_state(0)
    before = torch.get_rng_state()
    engine.train([job(state)])
    engine.evaluate([state], toy_data())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_dropout_on_a_gpu_depends_on_the_job_alone():
    model = noisy(False)
    data = toy_data()
    there = replace(data, inputs=data.inputs.cuda(), targets=data.targets.cuda())
    state = ModelState(
        tuple({n: t.cuda() for n, t in layer.items()} for layer in model.initial_state(0).layers)
    )
    results = []
    for seed in (1, 2):
        torch.cuda.manual_seed(seed)
        before = torch.cuda.get_rng_state()
        work = job(state, data=there, indices=torch.arange(0, 40, 2).cuda())
        results.append(SequentialEngine(model).train([work])[0])
        assert torch.equal(torch.cuda.get_rng_state(), before)
    assert same(results[0].state, results[1].state)


def test_later_hops_do_not_write_into_earlier_results(model):
    engine, state = SequentialEngine(model), model.initial_state(0)
    (first,) = engine.train([job(state)])
    values = [t.clone() for t in flat(first.state)]
    engine.train([job(first.state), job(first.state, 2)])
    engine.evaluate([first.state], toy_data())
    assert all(torch.equal(a, b) for a, b in zip(flat(first.state), values, strict=True))


def test_several_jobs_equal_one_by_one(model):
    engine, state = SequentialEngine(model), model.initial_state(0)
    jobs = [job(state, middle, seed=middle) for middle in range(MIDDLE)]
    together = engine.train(jobs)
    assert all(same(a.state, engine.train([b])[0].state) for a, b in zip(together, jobs, strict=True))


def test_no_gradient_for_frozen_weights_and_none_left():
    model = mlp()
    seen = []
    for i, layer in enumerate(model.layers):
        for p in layer.parameters():
            p.register_hook(lambda grad, i=i: seen.append(i))
    SequentialEngine(model).train([job(model.initial_state(0), 1)])
    assert set(seen) == {0, 2, 4}
    assert all(p.grad is None and not p.requires_grad for p in model.parameters())


def test_frozen_layers_run_in_eval_mode_and_trained_ones_in_train_mode():
    model = noisy(True)
    modes = {}
    for i, layer in enumerate(model.layers):
        layer.register_forward_pre_hook(lambda module, _, i=i: modes.update({i: module.training}))
    (result,) = SequentialEngine(model).train([job(model.initial_state(0), 1)])
    assert modes == {0: True, 1: False, 2: True, 3: False, 4: True}
    assert not any(m.training for m in model.modules())
    assert int(result.state.layers[2]["1.num_batches_tracked"]) == 6
    assert int(result.state.layers[1]["1.num_batches_tracked"]) == 0


@pytest.mark.usefixtures("nothing_old")
def test_memory_does_not_grow_with_switching():
    model = mlp()
    engine, state = SequentialEngine(model), model.initial_state(0)

    def live():
        gc.collect()
        return sum(1 for o in gc.get_objects() if type(o) in (torch.Tensor, nn.Parameter))

    counts = []
    for hop in range(4 * MIDDLE):
        state = engine.train([job(state, hop % MIDDLE)])[0].state
        counts.append(live())
    assert len(set(counts[MIDDLE:])) == 1


@pytest.mark.parametrize("kind", ["sgd", "adam", "rmsprop"])
def test_one_hop_by_hand(kind):
    """The whole hop written out with autograd over all layers, of which only three are stepped."""
    model = mlp()
    state = model.initial_state(0)
    config = LearningConfig(batch_size=8, epochs=2, optimizer=kind, clip_norm=0.5)
    task = job(state, 1, config=config, learning_rate=0.05)
    (result,) = SequentialEngine(model).train([task])

    by_hand = mlp()
    by_hand.load(type(state)(tuple({k: v.clone() for k, v in layer.items()} for layer in state.layers)))
    chosen = [p for i in (0, 2, 4) for p in by_hand.layers[i].parameters()]
    generator = torch.Generator().manual_seed(task.seed)
    torch.randint(2**62, (), generator=generator)  # the engine draws the seed of dropout first
    squares, means = [torch.zeros_like(p) for p in chosen], [torch.zeros_like(p) for p in chosen]
    step, losses = 0, []
    for _ in range(2):
        order = task.indices[torch.randperm(20, generator=generator)]
        for batch in order.split(8):
            step += 1
            loss = functional.cross_entropy(by_hand(task.data.inputs[batch]), task.data.targets[batch])
            losses.append(loss.item())
            everything = list(by_hand.parameters())
            gradients = dict(zip(everything, torch.autograd.grad(loss, everything), strict=True))
            norm = math.sqrt(sum(float((gradients[p] ** 2).sum()) for p in chosen))
            for p, mean, square in zip(chosen, means, squares, strict=True):
                g = gradients[p] * min(1.0, 0.5 / (norm + 1e-6))
                if kind == "sgd":
                    change = g
                elif kind == "adam":
                    mean.mul_(0.9).add_(g, alpha=0.1)
                    square.mul_(0.999).add_(g * g, alpha=0.001)
                    change = mean / (1 - 0.9**step) / ((square / (1 - 0.999**step)).sqrt() + 1e-8)
                else:
                    square.mul_(0.99).add_(g * g, alpha=0.01)
                    change = g / (square.sqrt() + 1e-8)
                p.data -= 0.05 * change
    assert result.batches == 6
    assert result.loss == pytest.approx(sum(losses) / 6, rel=1e-5)
    for found, expected in zip(flat(result.state), flat(by_hand.state()), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("stop", [1, 3, 4, 6, 99])
def test_interrupted_hop_runs_the_first_batches(stop):
    model = mlp()
    seen = []
    model.layers[0].register_forward_pre_hook(lambda _, x: seen.append(x[0].clone()))
    engine, state = SequentialEngine(model), model.initial_state(0)
    (whole,) = engine.train([job(state)])
    full, seen[:] = list(seen), []
    (part,) = engine.train([job(state, max_batches=stop)])
    assert part.batches == len(seen) == min(stop, 6)
    assert all(torch.equal(a, b) for a, b in zip(seen, full, strict=False))
    assert same(part.state, whole.state) == (stop >= 6)


def losses_of_epochs(task, model):
    """Mean training loss of every epoch of the whole hop."""
    sums = [0.0]
    for epoch in range(task.config.epochs):
        stop = (epoch + 1) * task.batches_per_epoch
        (part,) = SequentialEngine(model).train([replace(task, max_batches=stop)])
        sums.append(part.loss * part.batches)
    return [(b - a) / task.batches_per_epoch for a, b in pairwise(sums)]


@pytest.mark.parametrize("patience", [1, 2])
@pytest.mark.parametrize("min_improvement", [0.0, 0.02, 0.1, 100.0])
def test_a_node_stops_when_epochs_no_longer_help(patience, min_improvement):
    model = mlp()
    config = LearningConfig(batch_size=8, epochs=12)
    task = job(model.initial_state(0), config=config, learning_rate=0.03)
    lowest, without, epochs = math.inf, 0, 0
    for loss in losses_of_epochs(task, model):
        epochs += 1
        without = 0 if loss < lowest - min_improvement else without + 1
        lowest = min(lowest, loss)
        if without == patience:
            break
    early = config.model_copy(
        update={"early_exit": EarlyExitConfig(patience=patience, min_improvement=min_improvement)}
    )
    (found,) = SequentialEngine(model).train([replace(task, config=early)])
    assert found.batches == epochs * task.batches_per_epoch
    (expected,) = SequentialEngine(model).train([replace(task, max_batches=found.batches)])
    assert same(found.state, expected.state)
    assert found.loss == expected.loss


def test_augmented_training_depends_on_the_seed_alone():
    model = build_model(ModelConfig(options={"width": 8, "middle": 3}), (1, 6, 6), 4)
    g = torch.Generator().manual_seed(0)
    data = Dataset(torch.randn(50, 1, 6, 6, generator=g), toy_data().targets, 4)
    config = LearningConfig(batch_size=8, augmentation=AugmentationConfig(crop=1))
    task = job(model.initial_state(0), data=data, config=config)
    first, second, other, plain = SequentialEngine(model).train(
        [task, task, replace(task, seed=6), replace(task, config=LearningConfig(batch_size=8))]
    )
    assert same(first.state, second.state)
    assert not same(first.state, other.state)
    assert not same(first.state, plain.state)


def test_no_batches_no_change():
    model = mlp()
    state = model.initial_state(0)
    (result,) = SequentialEngine(model).train([job(state, max_batches=0)])
    assert result.state is state
    assert result.batches == 0
    assert math.isnan(result.loss)


def test_every_epoch_visits_every_sample_in_a_new_order():
    model = mlp()
    seen = []
    model.layers[0].register_forward_pre_hook(lambda _, x: seen.append(x[0][:, 0].clone()))
    task = job(model.initial_state(0))
    SequentialEngine(model).train([task])
    first, second = torch.cat(seen[:3]), torch.cat(seen[3:])
    own = task.data.inputs[task.indices][:, 0]
    assert torch.equal(first.sort().values, own.sort().values)
    assert torch.equal(second.sort().values, own.sort().values)
    assert not torch.equal(first, second)


def test_one_sample_is_enough():
    model = mlp()
    (result,) = SequentialEngine(model).train([job(model.initial_state(0), indices=torch.tensor([3]))])
    assert result.batches == 2
    assert math.isfinite(result.loss)


@pytest.mark.parametrize("middle", [-1, MIDDLE])
def test_unknown_layer_is_named(middle):
    model = mlp()
    with pytest.raises(SnakegymError, match=rf"found middle layer {middle}, expected one in \[0, 3\)"):
        SequentialEngine(model).train([job(model.initial_state(0), middle)])


def test_no_samples_is_an_error():
    model = mlp()
    with pytest.raises(SnakegymError, match="no samples"):
        SequentialEngine(model).train(
            [job(model.initial_state(0), indices=torch.tensor([], dtype=torch.int64))]
        )


def test_failure_leaves_the_engine_usable():
    model = mlp()
    engine, state = SequentialEngine(model), model.initial_state(0)
    (before,) = engine.train([job(state)])
    with pytest.raises(IndexError):
        engine.train([job(state, indices=torch.tensor([0, 10_000]))])
    assert all(p.grad is None and not p.requires_grad for p in model.parameters())
    assert same(engine.train([job(state)])[0].state, before.state)


@pytest.mark.parametrize("n", [1, 50, 5000])
def test_evaluation_equals_the_definition(n):
    model, data = noisy(True), toy_data(n)
    engine = SequentialEngine(model)
    states = [model.initial_state(0), model.initial_state(1)]
    for state, found in zip(states, engine.evaluate(states, data), strict=True):
        model.load(state)
        logits = model.eval()(data.inputs)
        expected = functional.cross_entropy(logits, data.targets)
        assert found.loss == pytest.approx(float(expected), rel=1e-4)
        assert found.score == int((logits.argmax(1) == data.targets).sum()) / n


def test_copies_share_the_engine():
    engine = SequentialEngine(mlp())
    assert copy.deepcopy(engine) is engine


def test_digits_are_learned_layer_by_layer():
    data = load_data(DataConfig())
    model = build_model(ModelConfig(), data.input_shape, data.n_classes)
    engine, state = SequentialEngine(model), model.initial_state(0)
    start = engine.evaluate([state], data.validation)[0].score
    nodes = torch.arange(len(data.train)).chunk(9)
    for hop in range(14):
        task = LocalTraining(state, hop % 7, data.train, nodes[hop % 9], LearningConfig(), 2e-3, hop)
        state = engine.train([task])[0].state
    assert start < 0.25
    assert engine.evaluate([state], data.validation)[0].score > 0.8
