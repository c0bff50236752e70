"""A hop that trains low-rank adapters of a block, and the traps of switching what is trained."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import nn

from snakegym.data.datasets import Dataset
from snakegym.errors import SnakegymError
from snakegym.learning.aggregation import average, mean_of_adapters
from snakegym.learning.jobs import LocalTraining
from snakegym.learning.quantisation import as_handed_on
from snakegym.learning.sequential import SequentialEngine
from snakegym.learning.stacked.engine import StackedEngine
from snakegym.models.adapters import beside, folded, linear_products, new_adapters, stacked
from snakegym.models.layered import LayeredModel
from snakegym.models.state import A, B
from snakegym.models.zoo import build_model
from snakegym.scenario import LearningConfig, LoraConfig, ModelConfig

RANK = 3


@pytest.fixture
def model() -> LayeredModel:
    return build_model(
        ModelConfig(name="blocks", options={"width": 12, "middle": 3, "smallest": 8, "largest": 24}),
        (1, 8, 8),
        10,
    )


def images(n: int = 24) -> Dataset:
    g = torch.Generator().manual_seed(0)
    labels = torch.randint(10, (n,), generator=g)
    return Dataset(torch.randn(n, 1, 8, 8, generator=g) + labels[:, None, None, None] / 3, labels, 10)


def job(model: LayeredModel, middle: int = 1, rank: int | None = RANK, **learning: Any) -> LocalTraining:
    config = LearningConfig(
        **{"batch_size": 8, "epochs": 3, "trains": "middle", "lora": LoraConfig(), **learning}
    )
    data = images()
    return LocalTraining(model.initial_state(0), middle, data, torch.arange(24), config, 0.02, 3, rank=rank)


@pytest.mark.parametrize("trains", ["middle", "last", "both-ends"])
def test_products_of_the_block_change_by_no_more_than_the_rank(model: LayeredModel, trains: Any) -> None:
    task, engine = job(model, trains=trains), SequentialEngine(model)
    (result,) = engine.train([task])
    ends = {"middle": (), "last": (4,), "both-ends": (0, 4)}[trains]
    products = linear_products(model, 2)
    assert len(products) == 2
    for i, (after, before) in enumerate(zip(result.state.layers, task.state.layers, strict=True)):
        if i in ends:
            assert not any(torch.equal(after[name], before[name]) for name in after)
        elif i != 2:
            assert after is before
    after, before = result.state.layers[2], task.state.layers[2]
    assert after.keys() == before.keys()
    for name, tensor in after.items():
        if name in products:
            sizes = torch.linalg.svdvals(tensor - before[name])
            assert sizes[RANK - 1] > 1e-4, f"{name}: all of the rank is used"
            assert (sizes[RANK:] < 1e-5 * sizes[0]).all()
        else:
            assert tensor.data_ptr() == before[name].data_ptr()
    (old,), (new,) = engine.evaluate([task.state], task.data), engine.evaluate([result.state], task.data)
    assert new.loss < old.loss


def test_it_is_what_torch_does_with_two_matrices_a_product() -> None:
    """One product as a block, plain SGD, one batch, all written out."""
    model = LayeredModel([nn.Flatten(), nn.Linear(64, 12), nn.Linear(12, 10)])
    learning = LearningConfig(
        batch_size=24, epochs=1, optimizer="sgd", trains="middle", clip_norm=1e9, lora=LoraConfig(alpha=6)
    )
    data, state = images(), model.initial_state(1)
    task = LocalTraining(state, 0, data, torch.arange(24), learning, 0.5, 3, rank=RANK)
    (result,) = SequentialEngine(model).train([task])
    weight = state.layers[1]["weight"].clone().requires_grad_(True)
    x = data.inputs.flatten(1)
    hidden = x @ weight.T + state.layers[1]["bias"]
    last = state.layers[2]
    nn.functional.cross_entropy(hidden @ last["weight"].T + last["bias"], data.targets).backward()
    # B begins at 0, so that after one step W moves by -rate s² (dL/dW A') A; A alone is not known.
    moved = result.state.layers[1]["weight"] - state.layers[1]["weight"]
    assert weight.grad is not None
    projector = torch.linalg.pinv(weight.grad) @ moved / -(0.5 * 2.0**2)
    torch.testing.assert_close(moved, -(0.5 * 2.0**2) * weight.grad @ projector, atol=1e-5, rtol=1e-3)
    assert torch.linalg.matrix_rank(moved, rtol=1e-4) == RANK
    assert float((moved * weight.grad).sum()) < 0, "downhill"


def test_outputs_and_gradients_are_those_of_peft() -> None:
    from snakegym.data.torchvision_shim import import_torchvision

    import_torchvision()
    peft = pytest.importorskip("peft")
    module = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4))
    model = LayeredModel([nn.Identity(), module, nn.Identity()])
    adapters = new_adapters(model, 1, 2, torch.Generator().manual_seed(1))
    with torch.no_grad():
        adapters["0.weight" + B].normal_()
        adapters["2.weight" + B].normal_()
    theirs = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4))
    theirs.load_state_dict(module.state_dict())
    config = peft.LoraConfig(r=2, lora_alpha=6, target_modules=["0", "2"])
    peft.inject_adapter_in_model(config, theirs)
    for i in (0, 2):
        theirs[i].lora_A["default"].weight.data = adapters[f"{i}.weight{A}"].detach().clone()
        theirs[i].lora_B["default"].weight.data = adapters[f"{i}.weight{B}"].detach().clone()
    inputs = torch.randn(7, 6)
    with beside(model, 1, adapters, 6 / 2):
        found = model(inputs)
    expected = theirs(inputs)
    torch.testing.assert_close(found, expected)
    gradients = torch.autograd.grad(found.square().sum(), [*adapters.values()])
    expected.square().sum().backward()
    own = [theirs[i].__getattr__(f"lora_{k}")["default"].weight.grad for i in (0, 2) for k in "AB"]
    torch.testing.assert_close([*gradients], own)
    model.load_layer(1, folded(model.layer_state(1), adapters, 6 / 2))
    torch.testing.assert_close(model(inputs), found)
    torch.testing.assert_close(
        new_scale(peft),
        new_adapters(model, 1, 2, torch.Generator())["0.weight" + A].abs().max(),
        rtol=0.35,
        atol=0,
    )


def new_scale(peft: Any) -> torch.Tensor:
    """The largest of the numbers with which peft's adapters of a product of 6 begin."""
    layer = nn.Sequential(nn.Linear(6, 5))
    peft.inject_adapter_in_model(peft.LoraConfig(r=2, target_modules=["0"]), layer)
    return layer[0].lora_A["default"].weight.detach().abs().max()


def test_same_seed_same_numbers_and_no_other_generator_is_touched(model: LayeredModel) -> None:
    before = torch.get_rng_state()
    engine = SequentialEngine(model)
    results = [engine.train([replace(job(model), seed=seed)])[0] for seed in (3, 3, 4)]
    assert torch.equal(torch.get_rng_state(), before)
    one, again, other = (r.state.layers[2]["widen.weight"] for r in results)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("rank", [RANK, None])
def test_layers_that_are_unfrozen_later_are_trained(model: LayeredModel, rank: int | None) -> None:
    """Whatever the layer before was: each hop has an optimiser of its own over what it trains."""
    engine, state = SequentialEngine(model), job(model).state
    for middle in (2, 0, 1, 0):
        task = replace(job(model, middle, rank), state=state)
        (result,) = engine.train([task])
        changed = [i for i in range(5) if result.state.layers[i] is not state.layers[i]]
        assert changed == [middle + 1]
        for name in linear_products(model, middle + 1):
            assert not torch.equal(result.state.layers[middle + 1][name], state.layers[middle + 1][name])
        state = result.state
        assert not any(p.requires_grad or p.grad is not None for p in model.parameters())
        assert not any("forward" in vars(m) for m in model.modules())


def tensor_bytes() -> int:
    gc.collect()
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in live_tensors()}
    return sum(storages.values())


def live_tensors() -> list[torch.Tensor]:
    return [o for o in gc.get_objects() if issubclass(type(o), torch.Tensor) and not o.is_meta]


@pytest.mark.usefixtures("nothing_old")
@pytest.mark.parametrize("rank", [RANK, None])
def test_memory_does_not_grow_with_switches(model: LayeredModel, rank: int | None) -> None:
    engine, task = SequentialEngine(model), job(model, 0, rank)
    held = []
    for hop in range(9):
        (result,) = engine.train([replace(task, middle=hop % 3)])
        task = replace(task, state=result.state)
        del result
        held.append(tensor_bytes())
    assert held[-1] == held[2], held


@pytest.mark.parametrize("clip", [1e-3, 1e3])
def test_adapters_are_clipped_with_the_rest(model: LayeredModel, clip: float) -> None:
    task = job(model, optimizer="sgd", clip_norm=clip, epochs=1, batch_size=24, trains="last")
    (result,) = SequentialEngine(model).train([task])
    moved = result.state.layers[4]["1.weight"] - task.state.layers[4]["1.weight"]
    assert (moved.norm() <= 0.02 * 1e-3 * 1.001) == (clip == 1e-3)


def test_the_stacked_engine_leaves_it_to_the_sequential_one(model: LayeredModel, caplog: Any) -> None:
    tasks = [job(model, middle) for middle in (0, 1)]
    found, expected = StackedEngine(model).train(tasks), SequentialEngine(model).train(tasks)
    for one, other in zip(found, expected, strict=True):
        assert one.loss == other.loss
    assert "adapters have no stacked form" in caplog.text


def test_the_mean_of_different_ranks_is_the_sum_of_their_products(model: LayeredModel) -> None:
    """Exact stacking: [w1 B1, w2 B2] [A1; A2] is the weighted sum of B A, and the mean of the models."""
    tasks = [replace(job(model, rank=rank), seed=rank) for rank in (1, 2, 4)]
    engine, samples = SequentialEngine(model), [10.0, 30.0, 60.0]
    states = [engine.train([task])[0].state for task in tasks]
    mean, before = average(states, samples), tasks[0].state.layers[2]
    for name in linear_products(model, 2):
        parts = [state.layers[2][name] - before[name] for state in states]
        summed = sum((n / 100) * part for n, part in zip(samples, parts, strict=True))
        torch.testing.assert_close(mean.layers[2][name] - before[name], summed, atol=1e-6, rtol=1e-4)
        assert torch.linalg.matrix_rank(summed, rtol=1e-4) == 7


def test_what_cannot_have_adapters_is_named(model: LayeredModel) -> None:
    with pytest.raises(SnakegymError, match=r"found rank 20, expected at most 12: 'widen.weight' of layer 3"):
        SequentialEngine(model).train([job(model, middle=2, rank=20)])
    vgg = build_model(ModelConfig(name="vgg", options={"width": 4}), (1, 8, 8), 10)
    with pytest.raises(
        SnakegymError, match="found adapters for layer 2 of the model, expected one with linear"
    ):
        SequentialEngine(vgg).train([job(vgg)])


def low(model: LayeredModel, task: LocalTraining) -> LocalTraining:
    return replace(task, state=as_handed_on(model, task.state, task.config))


@pytest.mark.parametrize("frozen", ["bf16", "int8", "nf4"])
def test_beside_weights_in_low_precision_adapters_stay(model: LayeredModel, frozen: Any) -> None:
    engine, task = SequentialEngine(model), low(model, job(model, frozen=frozen, trains="last"))
    assert [t.dtype for t in task.state.layers[4].values()] == [torch.float32] * 2, "it is trained in full"
    (first,) = engine.train([task])
    before, after = task.state.layers[2], first.state.layers[2]
    for name, tensor in before.items():
        assert after[name] is tensor, "the base is what it was"
    assert {name: tuple(t.shape) for name, t in after.items() if name.endswith((A, B))} == {
        "widen.weight" + A: (RANK, 12),
        "widen.weight" + B: (14, RANK),
        "narrow.weight" + A: (RANK, 14),
        "narrow.weight" + B: (12, RANK),
    }
    (second,) = engine.train([replace(task, state=first.state, seed=5)])
    stack = second.state.layers[2]["widen.weight" + A]
    assert stack.shape == (2 * RANK, 12)
    assert torch.equal(stack[:RANK], after["widen.weight" + A]), "the earlier ones are frozen"
    losses = [e.loss for e in engine.evaluate([task.state, first.state, second.state], task.data)]
    assert losses[0] > losses[1] > losses[2]
    stacked_engine = StackedEngine(model)
    assert [e.loss for e in stacked_engine.evaluate([second.state], task.data)] == losses[2:]
    (found,) = stacked_engine.train([replace(task, state=second.state)])
    assert found.batches == 9


@pytest.mark.parametrize("shape", [(4, 9), (9, 4)])
def test_a_stack_of_adapters_is_never_larger_than_what_it_says(shape: tuple[int, int]) -> None:
    n_out, n_in = shape
    g = torch.Generator().manual_seed(0)
    parts = [
        (w, torch.randn(r, n_in, generator=g), torch.randn(n_out, r, generator=g))
        for w, r in ((1.0, 3), (0.5, 2))
    ]
    expected = sum(w * b @ a for w, a, b in parts)
    a, b = stacked(parts)
    assert a.shape == (4, n_in)
    assert b.shape == (n_out, 4)
    torch.testing.assert_close(b @ a, expected)
    a, b = stacked([*parts, (2.0, *stacked(parts))])
    assert a.shape == (4, n_in)
    torch.testing.assert_close(b @ a, 3 * expected)


def test_stacks_of_different_ranks_are_averaged_exactly_and_common_ones_once(model: LayeredModel) -> None:
    engine, task = SequentialEngine(model), low(model, job(model, rank=2, frozen="int8"))
    task = replace(task, state=engine.train([task])[0].state)
    tasks = [replace(task, rank=rank, seed=rank) for rank in (1, 3)]
    states = [result.state for result in engine.train(tasks)]
    mean = average(states, [1.0, 3.0]).layers[2]
    for name in linear_products(model, 2):
        products = [s.layers[2][name + B] @ s.layers[2][name + A] for s in states]
        torch.testing.assert_close(
            mean[name + B] @ mean[name + A], 0.25 * products[0] + 0.75 * products[1], atol=1e-6, rtol=1e-4
        )
        assert len(mean[name + A]) == 2 + 1 + 3
        assert mean[name] is task.state.layers[2][name]


@example([1, 1], 1, 2)  # weights that sum to 1 but for single precision
@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.integers(0, 2), st.integers(0, 99))
def test_the_mean_of_adapters_is_the_mean_of_their_products(ranks: Any, common: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    a, b = torch.randn(common, 5, generator=g), torch.randn(4, common, generator=g)
    pairs = [
        (torch.cat([a, torch.randn(r, 5, generator=g)]), torch.cat([b, torch.randn(4, r, generator=g)], 1))
        for r in ranks
    ]
    weights = torch.rand(len(ranks), generator=g).add(0.1)
    shares = (weights / weights.sum()).tolist()
    found_a, found_b = mean_of_adapters(pairs, shares)
    expected = sum(w * (y @ x) for w, (x, y) in zip(shares, pairs, strict=True))
    torch.testing.assert_close(found_b @ found_a, expected, atol=1e-4, rtol=1e-4)
    assert len(found_a) <= min(4, common + sum(ranks))
