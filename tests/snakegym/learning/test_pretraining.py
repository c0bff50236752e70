"""A model that is trained before processes start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from snakegym.control.service import load_service
from snakegym.errors import SnakegymError
from snakegym.frameworks.problem import load_problem
from snakegym.learning.export import export_model
from snakegym.scenario import load_scenario

pytest.importorskip("transformers")


def fields(**changes: Any) -> dict[str, Any]:
    base = load_scenario("default").model_dump()
    base["data"] |= {
        "dataset": "questions",
        "samples": 200,
        "text": {"length": 40, "vocabulary": 300, "set_apart": ["music"]},
    }
    base["model"] = {
        "name": "llama",
        "options": {"width": 16, "hidden": 24, "middle": 2, "heads": 2, "key_heads": 1},
        "pretraining": {"epochs": 2, "learning_rate": 0.01},
    }
    base["network"]["nodes"] = 3
    return {**base, **changes}


def test_all_processes_start_from_what_was_learned_of_the_topics_set_apart() -> None:
    service = load_service(fields())
    starts = [service.start(np.random.default_rng(seed))[0].state for seed in (0, 1)]
    drawn, data = service.model.initial_state(0), service.data.pretraining
    assert data is not None
    assert starts[0] is starts[1]
    assert load_problem(service.scenario, 3).initial.layers[1].keys() == drawn.layers[1].keys()
    before, after = service.engine.evaluate([drawn, starts[0]], data)
    assert after.loss < before.loss - 0.5
    assert all(
        (a[name] != b[name]).any()
        for a, b in zip(starts[0].layers, drawn.layers, strict=True)
        for name in a
        if a[name].is_floating_point()
    ), "all layers were trained"


@pytest.mark.parametrize("missing", ["model", "data"])
def test_topics_and_training_are_given_together(missing: str) -> None:
    scenario = fields()
    if missing == "model":
        scenario["model"]["pretraining"] = None
    else:
        scenario["data"]["text"]["set_apart"] = []
    with pytest.raises(SnakegymError, match=r"is given alone, expected data\.text\.set_apart and model\.pre"):
        load_service(scenario)


def test_a_folder_of_weights_with_its_tokenizer_is_trained_further(tmp_path: Path) -> None:
    first = load_service(fields())
    state = first.start(np.random.default_rng(0))[0].state
    export_model(first.model, state, tmp_path / "out", first.data.tokenizer)
    scenario = fields()
    scenario["model"] |= {"weights": str(tmp_path / "out"), "options": {}}
    scenario["data"]["text"]["tokenizer"] = str(tmp_path / "out")
    service = load_service(scenario)
    begun, data = service.model.initial_state(0), service.data.pretraining
    assert data is not None
    for one, other in zip(begun.layers, state.layers, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    torch.testing.assert_close(data.inputs, first.data.pretraining.inputs)
    further = service.start(np.random.default_rng(0))[0].state
    before, after = service.engine.evaluate([begun, further], data)
    assert after.loss < before.loss - 0.1
    scenario["data"]["text"]["tokenizer"] = None
    with pytest.raises(SnakegymError, match=r"'data.text.tokenizer': found none beside 'model.weights'"):
        load_service(scenario)
