"""Frozen layers of which a node keeps the inputs alone: the same results for less memory and more work."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from snakegym.agents.planning.fitted.files import fingerprint
from snakegym.control.service import load_service
from snakegym.data.datasets import Dataset
from snakegym.learning.jobs import LocalTraining
from snakegym.learning.sequential import SequentialEngine
from snakegym.learning.stacked.engine import StackedEngine
from snakegym.models.layered import LayeredModel
from snakegym.models.profile import profile_model
from snakegym.models.zoo import build_model
from snakegym.network.costs import checkpointed_bytes, training_flops
from snakegym.scenario import LearningConfig, LoraConfig, ModelConfig, Scenario, load_scenario

N = 128


@pytest.fixture
def model() -> LayeredModel:
    options = {"width": 16, "middle": 6, "smallest": 64, "largest": 256}
    return build_model(ModelConfig(name="blocks", options=options), (1, 8, 8), 10)


def job(model: LayeredModel, middle: int, rank: int | None = None, **fields: Any) -> LocalTraining:
    g = torch.Generator().manual_seed(0)
    data = Dataset(torch.randn(N, 1, 8, 8, generator=g), torch.randint(10, (N,), generator=g), 10)
    config = LearningConfig(**{"batch_size": 32, "epochs": 2, "optimizer": "sgd", **fields})
    return LocalTraining(model.initial_state(0), middle, data, torch.arange(N), config, 0.01, 3, rank=rank)


@pytest.mark.parametrize("trains", ["middle", "last", "both-ends"])
@pytest.mark.parametrize("more", [{}, {"frozen": "int8"}, {"lora": LoraConfig()}])
def test_results_are_the_same_bit_by_bit(model: LayeredModel, trains: Any, more: Any) -> None:
    found = []
    for checkpointed in (False, True):
        task = job(model, 1, 4 if "lora" in more else None, trains=trains, checkpointed=checkpointed, **more)
        (result,) = SequentialEngine(model).train([task])
        found.append(result)
    assert found[0].loss == found[1].loss
    for a, b in zip(found[0].state.layers, found[1].state.layers, strict=True):
        assert all(torch.equal(a[name], b[name]) for name in a)


def test_the_stacked_engine_leaves_it_to_the_other(model: LayeredModel) -> None:
    task = job(model, 2, checkpointed=True)
    (ours,), (theirs,) = (engine(model).train([task]) for engine in (StackedEngine, SequentialEngine))
    assert ours.loss == theirs.loss


@pytest.mark.parametrize("trains", ["middle", "last", "both-ends"])
def test_work_is_what_is_done(model: LayeredModel, trains: Any) -> None:
    task = job(model, 0)
    costs = profile_model(model, task.data.inputs[0])
    for middle in range(6):
        for checkpointed in (False, True):
            config = LearningConfig(trains=trains, epochs=1, checkpointed=checkpointed)
            with FlopCounterMode(display=False) as counter:
                SequentialEngine(model).train(
                    [job(model, middle, trains=trains, epochs=1, checkpointed=checkpointed)]
                )
            assert costs.hop_flops(config)[middle] == pytest.approx(counter.get_total_flops() / N)


def allocated(model: LayeredModel, task: LocalTraining) -> float:
    """Bytes at most, above what there was before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        SequentialEngine(model).train([task])
    events: Any = profiler.profiler
    found = [(e.start_ns(), e.nbytes()) for e in events.kineto_results.events() if e.name() == "[memory]"]
    return float(np.cumsum([size for _, size in sorted(found)]).max())


@pytest.mark.parametrize("middle", [0, 2])
def test_memory_falls_as_the_formula_says(middle: int) -> None:
    options = {"width": 32, "middle": 8, "smallest": 512, "largest": 512}
    model = build_model(ModelConfig(name="blocks", options=options), (1, 8, 8), 10)
    settings = {"trains": "middle", "epochs": 1, "batch_size": N}
    peaks, formula = [], []
    for checkpointed in (False, True):
        task = job(model, middle, **settings, checkpointed=checkpointed)
        costs = profile_model(model, task.data.inputs[0])
        peaks.append(allocated(model, task))
        formula.append(costs.hop_memory(task.config)[middle])
    assert formula[0] - formula[1] > 0.3 * peaks[0]
    assert peaks[0] - peaks[1] == pytest.approx(formula[0] - formula[1], rel=0.2)


def test_figures_by_hand() -> None:
    assert training_flops([10, 20, 30, 40], [1], recomputed=(25,)) == 100 + 20 + 30 + 40 + 25
    assert checkpointed_bytes([5, 90, 70, 80, 4], [0, 1, 2, 3, 6], (2, 3)) == [5, 90, 2, 83, 4]
    assert checkpointed_bytes([5, 90], [0, 1], ()) == [5, 90]


def test_a_process_forecasts_it_and_gains_fitted_without_it_stay_good() -> None:
    fields = load_scenario("default").model_dump(mode="json")
    fields["learning"].update(trains="middle")
    plain = load_service(fields)
    fields["learning"]["checkpointed"] = True
    again = load_service(fields)
    views = [one.start(np.random.default_rng(0))[0].view() for one in (plain, again)]
    assert (views[1].layers.flops[:-1] > views[0].layers.flops[:-1]).all()
    assert (views[1].layers.memory_bytes[:-2] < views[0].layers.memory_bytes[:-2]).all()
    assert views[1].layers.flops[-1] == views[0].layers.flops[-1], "nothing is frozen behind the last"
    assert fingerprint(Scenario.model_validate(fields)) == fingerprint(plain.scenario)
