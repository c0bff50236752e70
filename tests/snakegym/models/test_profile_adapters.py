"""What low-rank adapters cost is what autograd does with them, and bytes are those of the formula."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from snakegym.models.adapters import beside, linear_products, new_adapters
from snakegym.models.frozen.keeper import Keeper
from snakegym.models.language.decoders import LlamaOptions, OptOptions, llama, opt
from snakegym.models.layered import LayeredModel
from snakegym.models.profile import profile_model
from snakegym.models.zoo import build_model
from snakegym.scenario import LearningConfig, ModelConfig

CASES: dict[str, Any] = {
    "mlp": ({"name": "mlp", "options": {"width": 16, "middle": 3}}, (8,), False),
    "blocks": ({"name": "blocks", "options": {"width": 16, "middle": 3}}, (8,), False),
    "opt": ({"name": "opt", "options": {"width": 16, "hidden": 32, "middle": 3, "heads": 2}}, (12,), True),
    "llama": (
        {"name": "llama", "options": {"width": 16, "hidden": 24, "middle": 3, "heads": 4}},
        (12,),
        True,
    ),
}


@pytest.fixture(params=CASES)
def case(request: Any) -> tuple[LayeredModel, torch.Tensor]:
    config, shape, tokens = CASES[request.param]
    if tokens:
        pytest.importorskip("transformers")
    model = build_model(ModelConfig(**config), shape, 11, tokens=tokens)
    g = torch.Generator().manual_seed(0)
    samples = torch.randint(11, (4, *shape), generator=g) if tokens else torch.randn(4, *shape, generator=g)
    return model, samples


@pytest.mark.parametrize("trains", ["both-ends", "last", "middle"])
@pytest.mark.parametrize("rank", [1, 5])
def test_work_and_memory_are_those_of_a_hop(case: Any, trains: Any, rank: int) -> None:
    model, samples = case
    profile = profile_model(model, samples[0], adapters=True)
    learning = LearningConfig(trains=trains, batch_size=4, optimizer="adam")
    flops = profile.training_flops(trains, rank)
    memory = profile.hop_memory(learning, rank=rank)
    assert profile.adapters is not None
    for middle in range(model.n_middle):
        model.requires_grad_(False)
        ends = [p for i in profile.trained(trains).ends for p in model.parameters_of(i).values()]
        adapters = new_adapters(model, middle + 1, rank, torch.Generator().manual_seed(0))
        own = [*adapters.values()]
        trained = [*(p.requires_grad_(True) for p in ends), *own]
        with beside(model, middle + 1, adapters):
            with FlopCounterMode(display=False) as counter:
                torch.autograd.grad(model(samples).sum(), trained)
            _, kept = Keeper(model, own).run(model, samples.clone())
        assert flops[middle] == pytest.approx(counter.get_total_flops() / 4)
        n_bytes = sum(p.nbytes for p in own)
        assert n_bytes == rank * profile.adapters.bytes_per_rank[middle + 1]
        weights = profile.n_bytes.sum() + n_bytes + 3 * sum(p.nbytes for p in trained)
        # What two layers keep together is counted twice where adapters lie between them.
        assert weights + kept <= memory[middle] <= weights + 1.1 * kept


def test_a_rank_costs_less_than_the_whole_layer(case: Any) -> None:
    model, samples = case
    profile = profile_model(model, samples[0], adapters=True)
    assert (profile.training_flops("middle", 1) < profile.training_flops("middle")).all()
    low, whole = (profile.hop_memory(LearningConfig(trains="middle"), rank=r) for r in (1, None))
    assert (low < whole).all()


def test_a_layer_without_products_has_no_adapters() -> None:
    model = LayeredModel([nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 3)])
    found = profile_model(model, torch.zeros(4), adapters=True).adapters
    assert found is not None
    assert found.largest_rank == 0
    assert found.bytes_per_rank.tolist() == [0, 0, 4 * 8, 0]


def shape_of(make: Any, options: Any, tokens: int) -> LayeredModel:
    with torch.device("meta"):
        return LayeredModel(make(options, (128,), tokens))


def bytes_of(model: LayeredModel, layer: int) -> int:
    return sum(t.nbytes for t in model.layer_state(layer).values())


def test_bytes_of_opt_1_3b() -> None:
    """A block is 201 MB of 5.26 GB; of rank 8 its adapters are 1.2 MB."""
    pytest.importorskip("transformers")
    options = OptOptions(width=2048, hidden=8192, middle=24, heads=32)
    model = shape_of(opt, options, 50272)
    w, h = 2048, 8192
    block = 4 * (4 * w * w + 2 * w * h + 4 * w + h + w + 4 * w)
    assert bytes_of(model, 12) == block == pytest.approx(201e6, rel=0.01)
    whole = sum(bytes_of(model, i) for i in range(26))
    # 2050 places in the original, of which texts of 128 tokens need 130.
    assert whole == 24 * block + 4 * (50272 * w + 130 * w + 2 * w)
    assert whole + 4 * 1920 * w == pytest.approx(5.26e9, rel=0.001)
    sizes = [sum(m.weight.shape) for m in linear_products(model, 12).values()]
    assert 4 * 8 * sum(sizes) == 32 * (4 * 2 * w + 2 * (w + h)) == pytest.approx(1.2e6, rel=0.02)


def test_bytes_of_llama_3_8b() -> None:
    pytest.importorskip("transformers")
    options = LlamaOptions(width=4096, hidden=14336, middle=32, heads=32, key_heads=8)
    model = shape_of(llama, options, 128256)
    assert sum(bytes_of(model, i) for i in range(34)) == 4 * 8_030_261_248
