"""A problem to be worked out by hand: a perceptron, few samples, a network that never changes."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional

from snakegym.control.nodes.holdings import node_data
from snakegym.data.datasets import DataParts, Dataset
from snakegym.frameworks.problem import Problem
from snakegym.learning.jobs import LocalTraining
from snakegym.learning.sequential import SequentialEngine, batches
from snakegym.models.profile import profile_model
from snakegym.models.state import ModelState
from snakegym.models.zoo import build_model
from snakegym.network.network import Network, NodeProfile, constant_network
from snakegym.scenario import LearningConfig, ModelConfig, load_scenario

N_CLASSES = 3
FEATURES = 5
MIDDLE = 4
MakeProblem = Callable[..., Problem]


def toy(n: int, seed: int) -> Dataset:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(n, 1, 1, FEATURES, generator=generator)
    return Dataset(inputs, torch.randint(N_CLASSES, (n,), generator=generator), N_CLASSES)


def network(nodes: int, timeout_s: float = 100.0) -> Network:
    """Node i has 1000 (i + 1) FLOP/s, half of it free; 8 kbit/s up, 16 kbit/s down, 0.5 s round trips."""
    profiles = [NodeProfile(f"n{i}", 1000.0 * (i + 1), 1e6, 2.0, 3.0) for i in range(nodes)]
    return constant_network(profiles, 0.5, 8e3, 16e3, rtt_s=0.5, timeout_s=timeout_s)


@pytest.fixture
def make_problem() -> MakeProblem:
    def make(
        samples: tuple[int, ...] = (7, 12), *, middle: int = MIDDLE, seed: int = 3, **learning
    ) -> Problem:
        base = load_scenario("default")
        config = LearningConfig(
            **({"epochs": 2, "batch_size": 4, "optimizer": "sgd", "learning_rate": 0.05, "decay": 0.5,
                "clip_norm": 1e9} | learning)
        )  # fmt: skip
        model = ModelConfig(options={"width": 6, "middle": middle})
        scenario = base.model_copy(
            update={
                "learning": config,
                "model": model,
                "network": base.network.model_copy(update={"nodes": len(samples), "timeout_s": 100.0}),
            }
        )
        shape = (1, 1, FEATURES)
        layered = build_model(model, shape, N_CLASSES)
        train = toy(sum(samples), 0)
        indices = np.split(np.random.default_rng(1).permutation(sum(samples)), np.cumsum(samples)[:-1])
        return Problem(
            scenario=scenario,
            data=DataParts(train, toy(9, 1), toy(11, 2), shape, N_CLASSES),
            model=layered,
            profile=profile_model(layered, train.inputs[0]),
            engine=SequentialEngine(layered),
            network=network(len(samples)),
            nodes=node_data(train, [np.sort(i) for i in indices], 0),
            initial=layered.initial_state(0),
            seed=seed,
        )

    return make


@pytest.fixture
def train_plainly() -> Callable[[Problem, LocalTraining], ModelState]:
    """The whole model after stochastic gradient descent on a job's samples in the job's order."""

    def train(problem: Problem, job: LocalTraining) -> ModelState:
        model = copy.deepcopy(problem.model)
        model.load(ModelState(tuple({k: t.clone() for k, t in layer.items()} for layer in job.state.layers)))
        model.requires_grad_(True)
        optimizer = torch.optim.SGD(model.parameters(), lr=job.learning_rate)
        generator = torch.Generator().manual_seed(job.seed)
        torch.randint(2**62, (), generator=generator)  # what seeds dropout is drawn first
        for batch in batches(job, job.n_batches, generator):
            loss = functional.cross_entropy(model(job.data.inputs[batch]), job.data.targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return model.state()

    return train


@pytest.fixture
def close() -> Callable[[ModelState, ModelState], bool]:
    """Whether two models agree to single precision."""

    def agree(a: ModelState, b: ModelState) -> bool:
        return torch.allclose(_flat(a), _flat(b), rtol=1e-4, atol=1e-6)

    return agree


def _flat(state: ModelState) -> torch.Tensor:
    return torch.cat([t.flatten() for layer in state.layers for t in layer.values()])
