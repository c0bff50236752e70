from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from snakegym.control.controller import ProcessController
from snakegym.control.executor import SimulatedExecutor
from snakegym.control.records import Assignment, Hop
from snakegym.control.service import load_service
from snakegym.network.network import Network, NodeProfile, constant_network
from snakegym.scenario import Scenario, load_scenario

Process = tuple[ProcessController, SimulatedExecutor]
N = 4


def small_scenario(mode: str, pool: dict[str, Any], process: dict[str, Any], nodes: int) -> Scenario:
    config = load_scenario("default").model_dump()
    config["network"].update(mode=mode, nodes=nodes)
    config["model"]["options"] = {"width": 16, "middle": 3}
    config["pool"].update(pool)
    config["process"].update({"budget": {"time_s": 1e6}, **process})
    return Scenario.model_validate(config)


@pytest.fixture(scope="session")
def start() -> Callable[..., Process]:
    """Builds a process of four nodes (the first is the slowest) on the given or on a constant network."""

    def build(
        mode: str = "p2p",
        network: Network | None = None,
        pool: dict[str, Any] | None = None,
        seed: int = 1,
        **process: Any,
    ) -> Process:
        if network is None:
            profiles = [NodeProfile(f"n{i}", 1e7 * (i + 1), 8e6, 0.3, 0.5) for i in range(N)]
            network = constant_network(profiles, 0.5, 1e6, 2e6, rtt_s=0.1)
        config = small_scenario(mode, pool or {}, process, network.n_nodes)
        service = load_service(config)
        drawn, executor = service.start(np.random.default_rng(0))
        controller = ProcessController(
            config,
            service.profile,
            network,
            drawn._data,
            drawn.state,
            drawn.metric,
            np.random.default_rng(seed),
        )
        return controller, SimulatedExecutor(network, executor.engine, executor.validation)

    return build


@pytest.fixture(scope="session")
def hop() -> Callable[..., Hop]:
    """Carries out one hop: `hop(controller, executor, node, layer)`."""

    def run(controller: ProcessController, executor: SimulatedExecutor, node: int, layer: int) -> Hop:
        job = controller.dispatch(Assignment(node, layer))
        return controller.complete(job, executor.run(job))

    return run
