"""Averages of adapters: what the server makes of them is exactly the mean of what the nodes have learned."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from snakegym.errors import SnakegymError
from snakegym.frameworks.fedavg_lora import FASTER, FedAvgLora
from snakegym.frameworks.registry import OF_IMAGES, OF_LANGUAGE, make_framework
from snakegym.scenario import LoraConfig

LORA = LoraConfig(rank=2)


def test_the_mean_of_the_nodes_products_goes_into_the_weights(make_problem) -> None:
    problem = make_problem(lora=LORA, learning_rate=0.005)
    framework = FedAvgLora(problem)
    framework.round()
    nodes = []
    for node in range(problem.n_nodes):
        job = problem.job(problem.initial, node, 0, (1, 2, 3, 4), 2)
        fast = job.__class__(**{**vars(job), "learning_rate": FASTER * job.learning_rate})
        nodes.append(problem.engine.train([fast])[0].state)
    shares = np.array(problem.samples) / sum(problem.samples)
    for i, layer in enumerate(framework.state.layers):
        assert (layer is problem.initial.layers[i]) == (i in (0, 5)), "the ends are frozen"
        for name, tensor in layer.items():
            mean = sum(share * own.layers[i][name] for share, own in zip(shares, nodes, strict=True))
            torch.testing.assert_close(tensor, mean)
            change = tensor - problem.initial.layers[i][name]
            if change.ndim == 2:
                assert torch.linalg.matrix_rank(change, rtol=1e-3) <= 2 * problem.n_nodes


def test_adapters_alone_travel_once_everybody_has_the_model(make_problem) -> None:
    problem = make_problem(lora=LORA)
    framework, whole = FedAvgLora(problem), make_framework("fedavg", problem)
    adapters = 4 * 4 * 2 * (6 + 6)  # middle layers, bytes, rank, A and B of a product 6 x 6
    model = float(problem.profile.n_bytes.sum())
    assert framework.round().n_bytes == 2 * (model + adapters)
    assert framework.round().n_bytes == 2 * (2 * adapters + adapters)
    assert framework.node_memory() < whole.node_memory() + 2 * adapters


def test_a_rank_beyond_the_products_is_refused(make_problem) -> None:
    with pytest.raises(SnakegymError, match="framework 'fedavg-lora': found rank 8, expected at most 6"):
        FedAvgLora(make_problem())


def test_it_is_compared_on_texts_unless_somebody_asks() -> None:
    assert "fedavg-lora" in OF_LANGUAGE
    assert "fedavg-lora" not in OF_IMAGES
