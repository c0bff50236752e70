import copy
import logging
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from snakegym.data.datasets import Dataset
from snakegym.errors import SnakegymError
from snakegym.learning.jobs import LocalTraining
from snakegym.learning.sequential import SequentialEngine
from snakegym.learning.stacked.engine import CPU_MEMBERS, StackedEngine, make_engine
from snakegym.models.layered import LayeredModel
from snakegym.models.state import ModelState
from snakegym.models.zoo import build_model
from snakegym.scenario import EarlyExitConfig, LearningConfig, ModelConfig

MIDDLE = 4
SHAPE = (1, 3, 2)
ZOO = [
    ("mlp", {"width": 16, "middle": 3}, (2, 5)),
    ("blocks", {"width": 5, "middle": 4, "smallest": 3, "largest": 24}, (2, 5)),
    ("blocks", {"width": 6, "middle": 3, "smallest": 6, "largest": 6}, (10,)),
    ("vgg", {"width": 8}, (1, 8, 8)),
    ("vgg", {"width": 4, "norm": "none"}, (3, 20, 17)),
    ("vgg11", {"width": 0.125}, (3, 32, 32)),
    ("vgg11", {"width": 0.125, "norm": "none"}, (1, 32, 32)),
]


def samples(n=60, shape=SHAPE, n_classes=4, seed=0):
    """In double precision, as states below: Adam and RMSprop blow differences of gradients near 0 up.

    In float32 the sequential engine itself differs from its float64 results by up to 0.004.
    """
    g = torch.Generator().manual_seed(seed)
    return Dataset(
        torch.randn(n, *shape, generator=g, dtype=torch.float64),
        torch.randint(n_classes, (n,), generator=g),
        n_classes,
    )


DATA = samples()


def mlp():
    return build_model(ModelConfig(options={"width": 8, "middle": MIDDLE}), SHAPE, 4)


MODEL = mlp()


def fresh(model, seed=0, dtype=torch.float64):
    layers = model.initial_state(seed).layers
    return ModelState(tuple({name: t.to(dtype) for name, t in layer.items()} for layer in layers))


def job(state, middle=1, **changes):
    fields = {
        "data": DATA,
        "indices": torch.arange(0, 40, 2),
        "config": LearningConfig(batch_size=8, epochs=2),
        "learning_rate": 0.01,
        "seed": 5,
    }
    return LocalTraining(state, middle, **(fields | changes))


def tensors(state):
    return [t for layer in state.layers for t in layer.values()]


def assert_close(ours, reference, rtol=1e-6, atol=1e-8):
    assert len(ours) == len(reference)
    for a, b in zip(ours, reference, strict=True):
        assert a.batches == b.batches
        assert a.loss == pytest.approx(b.loss, rel=1e-6, nan_ok=True)
        for layer, expected in zip(a.state.layers, b.state.layers, strict=True):
            assert list(layer) == list(expected)
            for name, t in layer.items():
                torch.testing.assert_close(t, expected[name], rtol=rtol, atol=atol)


def assert_same_as_sequential(model, jobs, **tolerances):
    reference = SequentialEngine(copy.deepcopy(model)).train(jobs)
    assert_close(StackedEngine(model).train(jobs), reference, **tolerances)


def mixed_jobs(model, data, kind="adam"):
    """Five jobs that differ in everything that may differ."""
    return [
        LocalTraining(
            fresh(model, i),
            (2 * i) % model.n_middle,
            data,
            torch.arange(i, len(data), 2 + i),
            LearningConfig(
                optimizer=kind, batch_size=(8, 5, 8, 16, 3)[i], epochs=1 + i % 2, clip_norm=0.5 + i
            ),
            2e-3 * (1 + i % 3),
            seed=i,
            max_batches=(None, 4, 1, None, 3)[i],
        )
        for i in range(5)
    ]


@pytest.mark.parametrize("kind", ["adam", "sgd", "rmsprop"])
@pytest.mark.parametrize(("name", "options", "shape"), ZOO)
def test_every_model_of_the_zoo_as_by_the_sequential_engine(name, options, shape, kind):
    data = samples(40, shape)
    model = build_model(ModelConfig(name=name, options=options), shape, 4)
    jobs = mixed_jobs(model, data, kind)
    assert_same_as_sequential(model, jobs)


@pytest.mark.parametrize(("name", "options", "shape"), ZOO)
def test_whatever_hops_train(name, options, shape):
    """All alike, and jobs of all three kinds in one stack."""
    data = samples(40, shape)
    model = build_model(ModelConfig(name=name, options=options), shape, 4)
    rules = ("last", "middle", "both-ends", "middle", "last")
    for kinds in (["last"] * 5, ["middle"] * 5, rules):
        jobs = [
            replace(job, config=job.config.model_copy(update={"trains": trains}))
            for job, trains in zip(mixed_jobs(model, data), kinds, strict=True)
        ]
        assert_same_as_sequential(model, jobs)


@pytest.mark.parametrize(("name", "options", "shape"), ZOO)
def test_single_precision(name, options, shape):
    data = samples(40, shape)
    data = Dataset(data.inputs.float(), data.targets, data.n_classes)
    model = build_model(ModelConfig(name=name, options=options), shape, 4)
    jobs = [
        replace(j, state=fresh(model, i, torch.float32)) for i, j in enumerate(mixed_jobs(model, data, "sgd"))
    ]
    assert_same_as_sequential(model, jobs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("name", "options", "shape"), ZOO)
def test_evaluation_as_by_the_sequential_engine(name, options, shape):
    data = samples(70, shape)
    model = build_model(ModelConfig(name=name, options=options), shape, 4)
    states = [fresh(model, seed) for seed in range(3)]
    ours = StackedEngine(model).evaluate(states, data)
    reference = SequentialEngine(copy.deepcopy(model)).evaluate(states, data)
    assert [e.score for e in ours] == [e.score for e in reference]
    assert [e.loss for e in ours] == pytest.approx([e.loss for e in reference], rel=1e-5)


@st.composite
def any_job(draw):
    n = draw(st.integers(1, 30))
    return job(
        fresh(MODEL, draw(st.integers(0, 3))),
        draw(st.integers(0, MIDDLE - 1)),
        indices=torch.tensor(draw(st.lists(st.integers(0, len(DATA) - 1), min_size=n, max_size=n))),
        config=LearningConfig(
            batch_size=draw(st.integers(1, 12)),
            epochs=draw(st.integers(1, 3)),
            optimizer=draw(st.sampled_from(["adam", "sgd", "rmsprop"])),
            clip_norm=draw(st.sampled_from([0.1, 1.0, 100.0])),
        ),
        learning_rate=draw(st.sampled_from([1e-3, 3e-3, 0.01])),
        seed=draw(st.integers(0, 9)),
        max_batches=draw(st.none() | st.integers(0, 5)),
        layers=draw(
            st.none() | st.sets(st.integers(0, MIDDLE + 1), min_size=1).map(lambda s: tuple(sorted(s)))
        ),
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(any_job(), min_size=1, max_size=5))
def test_any_jobs_as_by_the_sequential_engine(jobs):
    assert_same_as_sequential(MODEL, jobs)


def test_more_jobs_than_fit_into_one_stack_and_two_data_sets():
    other = samples(seed=1)
    jobs = [
        job(fresh(MODEL, i), i % MIDDLE, seed=i, data=(DATA, other)[i % 2])
        for i in range(CPU_MEMBERS * 2 + 3)
    ]
    assert_same_as_sequential(MODEL, jobs)


def test_only_trained_layers_are_new():
    states = [fresh(MODEL, i) for i in range(3)]
    values = [[t.clone() for t in tensors(s)] for s in states]
    results = StackedEngine(MODEL).train([job(s, middle) for middle, s in enumerate(states)])
    for middle, (state, before, result) in enumerate(zip(states, values, results, strict=True)):
        assert all(torch.equal(a, b) for a, b in zip(tensors(state), before, strict=True))
        for i in range(MODEL.n_layers):
            if i in (0, middle + 1, MODEL.n_layers - 1):
                assert all(not torch.equal(t, state.layers[i][n]) for n, t in result.state.layers[i].items())
            else:
                assert result.state.layers[i] is state.layers[i]


def test_a_state_that_all_jobs_share_stays_as_it_was():
    state = fresh(MODEL)
    before = [t.clone() for t in tensors(state)]
    jobs = [job(state, 1, seed=seed) for seed in range(4)]
    assert_same_as_sequential(MODEL, jobs)
    assert all(torch.equal(a, b) for a, b in zip(tensors(state), before, strict=True))


def test_a_result_keeps_no_other_members_parameters_alive():
    results = StackedEngine(MODEL).train([job(fresh(MODEL, i), 1) for i in range(4)])
    for layer, tensors_ in enumerate(results[0].state.layers):
        own = sum(t.numel() for t in tensors_.values())
        for t in tensors_.values():
            assert t.untyped_storage().nbytes() <= t.element_size() * own, layer


def test_same_jobs_same_numbers():
    jobs = mixed_jobs(MODEL, DATA)
    busy = StackedEngine(mlp())
    busy.train([job(fresh(MODEL, 7), 2)])
    first, second = StackedEngine(MODEL).train(jobs), busy.train(jobs)
    for a, b in zip(first, second, strict=True):
        assert a.loss == b.loss
        assert all(torch.equal(x, y) for x, y in zip(tensors(a.state), tensors(b.state), strict=True))


def test_global_generator_untouched_and_no_gradients_left():
    before = torch.get_rng_state()
    engine = StackedEngine(MODEL)
    (result,) = engine.train([job(fresh(MODEL))])
    engine.evaluate([result.state], DATA)
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(t.requires_grad or t.is_inference() for t in tensors(result.state))


def test_results_can_be_trained_on_by_either_engine():
    states = [fresh(MODEL, i) for i in range(2)]
    hop = StackedEngine(MODEL).train([job(s, i) for i, s in enumerate(states)])
    assert_same_as_sequential(MODEL, [job(r.state, 2) for r in hop])


def test_nothing_to_train():
    state = fresh(MODEL)
    assert StackedEngine(MODEL).train([]) == []
    idle, busy = StackedEngine(MODEL).train([job(state, max_batches=0), job(state)])
    assert idle.state is state
    assert idle.batches == 0
    assert math.isnan(idle.loss)
    assert busy.batches == 6


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"middle": MIDDLE}, "middle layer"),
        ({"indices": torch.tensor([], dtype=torch.int64)}, "no samples"),
        ({"state": ModelState(())}, "found 0 layers"),
    ],
)
def test_refuses_what_does_not_fit(changes, text):
    good = {"state": fresh(MODEL), "middle": 1}
    with pytest.raises(SnakegymError, match=text):
        StackedEngine(MODEL).train([job(**good), job(**(good | changes))])


def test_refuses_states_of_another_shape():
    other = build_model(ModelConfig(options={"width": 9, "middle": MIDDLE}), SHAPE, 4)
    with pytest.raises(SnakegymError, match="expected"):
        StackedEngine(MODEL).train([job(fresh(other))])


class Twice(nn.Linear):
    """A subclass that computes something else."""

    def forward(self, inputs):
        return 2 * super().forward(inputs)


@pytest.mark.parametrize(
    ("middle", "text"),
    [
        (lambda: nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)), "layer 1: Dropout"),
        (lambda: nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8)), "layer 1: BatchNorm1d"),
        (lambda: Twice(8, 8), "layer 1: Twice"),
    ],
)
def test_models_without_stacked_form_fall_back_and_say_so_once(middle, text, caplog):
    model = LayeredModel([nn.Sequential(nn.Flatten(), nn.Linear(6, 8)), middle(), middle(), nn.Linear(8, 4)])
    jobs = [job(fresh(model, i), i % 2) for i in range(3)]
    with caplog.at_level(logging.WARNING, "snakegym"):
        engine = StackedEngine(model)
        ours = [engine.train(jobs), engine.train(jobs)][0]
        engine.evaluate([r.state for r in ours], DATA)
    assert [r.getMessage() for r in caplog.records] == [
        f"stacked engine: {text} has no stacked form here: trained one after the other"
    ]
    reference = SequentialEngine(copy.deepcopy(model)).train(jobs)
    for a, b in zip(ours, reference, strict=True):
        assert a.loss == b.loss
        assert all(torch.equal(x, y) for x, y in zip(tensors(a.state), tensors(b.state), strict=True))


def test_a_state_it_knows_does_not_fit_samples_of_another_type():
    engine = StackedEngine(MODEL)
    (known,) = engine.train([job(fresh(MODEL))])
    other = Dataset(DATA.inputs.float(), DATA.targets, DATA.n_classes)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="dtype"):  # the sequential engine's, hence PyTorch's own
            engine.train([job(known.state, data=other)])


def test_options_without_stacked_form_fall_back_job_by_job(caplog):
    config = LearningConfig(batch_size=8, early_exit=EarlyExitConfig())
    states = [fresh(MODEL, i) for i in range(3)]
    jobs = [job(states[0]), job(states[1], config=config), job(states[2])]
    with caplog.at_level(logging.WARNING, "snakegym"):
        assert_same_as_sequential(MODEL, jobs[1:2])
        assert not caplog.records  # a job alone misses nothing
        assert_same_as_sequential(MODEL, jobs)
    assert "no stacked form" in caplog.records[0].getMessage()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize(("name", "options", "shape"), ZOO)
def test_on_a_gpu_states_come_back_to_where_they_were(name, options, shape):
    data = samples(40, shape)
    model = build_model(ModelConfig(name=name, options=options), shape, 4)
    jobs = mixed_jobs(model, data)
    engine = StackedEngine(model, device="cuda")
    results = engine.train(jobs)
    assert all(t.device.type == "cpu" for r in results for t in tensors(r.state))
    assert_close(results, SequentialEngine(copy.deepcopy(model)).train(jobs))
    states = [r.state for r in results]
    ours, reference = engine.evaluate(states, data), SequentialEngine(model).evaluate(states, data)
    assert [e.score for e in ours] == [e.score for e in reference]


def test_engines_by_name():
    assert isinstance(make_engine(MODEL), StackedEngine)
    assert isinstance(make_engine(MODEL, "sequential"), SequentialEngine)
    with pytest.raises(SnakegymError, match="engine: found 'fast'"):
        make_engine(MODEL, "fast")


def test_copies_share_the_engine():
    engine = StackedEngine(MODEL)
    assert copy.deepcopy(engine) is engine


@pytest.mark.parametrize("kind", ["sequential", "stacked"])
@pytest.mark.parametrize("batches", [1, 3, 99])
def test_a_job_that_is_told_to_stop_is_one_of_as_many_batches(kind, batches):
    """Whatever else is trained beside it."""
    state, asked = fresh(MODEL), []

    def stop():
        asked.append(True)
        return len(asked) >= batches

    engine = make_engine(MODEL, kind)
    other, stopped = engine.train([job(state, 2, seed=7), job(state, stop=stop)])
    (expected,) = engine.train([job(state, max_batches=batches)])
    (whole,) = engine.train([job(state, 2, seed=7)])
    assert (stopped.batches, stopped.loss) == (min(batches, 6), expected.loss)
    assert len(asked) == stopped.batches
    assert other.batches == 6
    for one, two in ((stopped, expected), (other, whole)):
        assert all(map(torch.equal, tensors(one.state), tensors(two.state)))
