from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snakegym.control.controller import ProcessController
from snakegym.control.execution.executor import SimulatedExecutor
from snakegym.control.nodes.holdings import node_data
from snakegym.control.service import load_service
from snakegym.control.view import ProcessView
from snakegym.data.partition import partition
from snakegym.network.network import Network, NodeProfile, constant_network
from snakegym.scenario import Scenario, load_scenario

Process = tuple[ProcessController, SimulatedExecutor]


def small_scenario(
    nodes: int,
    middle: int,
    mode: str,
    layer_order: str,
    parallel: int = 1,
    like: str | Path = "default",
    trains: str = "both-ends",
    lora: dict[str, Any] | None = None,
) -> Scenario:
    """A scenario with another number of nodes and layers, and a budget out of reach."""
    default = load_scenario(like).model_dump()
    default["network"].update(nodes=nodes, mode=mode)
    default["model"] = {"name": "mlp", "options": {"width": 16, "middle": middle}}
    default["process"].update(layer_order=layer_order, budget={"time_s": 1e6}, parallel=parallel)
    default["learning"].update(epochs=1, trains=trains, lora=lora)
    return Scenario.model_validate(default)


@pytest.fixture(scope="session")
def of_few_hops() -> Callable[[int, int], Scenario]:
    """The default scenario with so many nodes, three middle layers and so many hops at most."""

    def build(nodes: int, hops: int) -> Scenario:
        fields = load_scenario("default").model_dump()
        fields["model"] = {"name": "mlp", "options": {"width": 16, "middle": 3}}
        fields["network"].update(nodes=nodes)
        fields["process"]["budget"].update(hops=hops)
        return Scenario.model_validate(fields)

    return build


def random_network(nodes: int, rng: np.random.Generator) -> Network:
    """Rates that differ widely between nodes and never change."""
    profiles = [
        NodeProfile(f"node{i}", 10 ** rng.uniform(6, 7.5), 1e9, *rng.uniform(0.1, 0.8, 2))
        for i in range(nodes)
    ]
    return constant_network(
        profiles,
        rng.uniform(0.2, 1.0, nodes),
        10 ** rng.uniform(4, 6, nodes),
        10 ** rng.uniform(4, 6, nodes),
        rtt_s=rng.uniform(0.01, 0.2, nodes),
    )


@pytest.fixture(scope="session")
def frozen_process() -> Callable[..., Process]:
    """Builds a process that really trains, on a network whose rates never change."""

    def build(
        nodes: int = 3,
        middle: int = 3,
        mode: str = "p2p",
        layer_order: str = "free",
        seed: int = 0,
        parallel: int = 1,
        like: str | Path = "default",
        trains: str = "both-ends",
        lora: dict[str, Any] | None = None,
    ) -> Process:
        rng = np.random.default_rng(seed)
        scenario = small_scenario(nodes, middle, mode, layer_order, parallel, like, trains, lora)
        service, network = load_service(scenario), random_network(nodes, rng)
        train = service.data.train
        indices = partition(scenario.data, train.targets.numpy(), nodes, train.n_classes, rng)
        state = service.model.initial_state(seed)
        data = node_data(train, indices, len(service.data.validation))
        controller = ProcessController(scenario, service.profile, network, data, state, 0.1, rng)
        return controller, SimulatedExecutor(controller, service.engine, service.data.validation)

    return build


@pytest.fixture(scope="session")
def view(frozen_process: Callable[..., Process]) -> ProcessView:
    """The first view of a process over six nodes and four middle layers: everything is legal."""
    return frozen_process(6, 4)[0].view()


@pytest.fixture(autouse=True)
def _nothing_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planners of the default scenario are given views of smaller ones: what ships is not for them."""
    monkeypatch.setattr("snakegym.agents.planning.fitted.files.shipped", lambda scenario: None)
