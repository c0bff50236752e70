from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from snakegym.control.controller import ProcessController
from snakegym.control.execution.executor import SimulatedExecutor
from snakegym.control.records import Assignment, Hop
from snakegym.control.service import load_service
from snakegym.network.network import Network, NodeProfile, constant_network
from snakegym.network.traces.trace import LinkTrace, Trace
from snakegym.scenario import Scenario, load_scenario

Process = tuple[ProcessController, SimulatedExecutor]
N = 4


def small_scenario(
    mode: str, pool: dict[str, Any], learning: dict[str, Any], process: dict[str, Any], nodes: int
) -> Scenario:
    config = load_scenario("default").model_dump()
    config["network"].update(mode=mode, nodes=nodes)
    config["data"]["alpha"] = 0.5
    config["model"] = {"name": "mlp", "options": {"width": 16, "middle": 3}}
    config["pool"].update(pool)
    config["learning"].update({"batch_size": 32, "learning_rate": 0.002, "decay": 0.9, **learning})
    config["process"].update({"budget": {"time_s": 1e6}, **process})
    return Scenario.model_validate(config)


@pytest.fixture(scope="session")
def start() -> Callable[..., Process]:
    """Builds a process of four nodes (the first is the slowest) on the given or on a constant network."""

    def build(
        mode: str = "p2p",
        network: Network | None = None,
        pool: dict[str, Any] | None = None,
        learning: dict[str, Any] | None = None,
        seed: int = 1,
        **process: Any,
    ) -> Process:
        if network is None:
            profiles = [NodeProfile(f"n{i}", 1e7 * (i + 1), 8e6, 0.3, 0.5) for i in range(N)]
            network = constant_network(profiles, 0.5, 1e6, 2e6, rtt_s=0.1)
        config = small_scenario(mode, pool or {}, learning or {}, process, network.n_nodes)
        service = load_service(config)
        drawn, executor = service.start(np.random.default_rng(0))
        controller = ProcessController(
            config,
            service.profile,
            network,
            drawn.managers.data,
            drawn.state,
            drawn.metric,
            np.random.default_rng(seed),
        )
        return controller, SimulatedExecutor(controller, executor.engine, executor.pce.validation)

    return build


@pytest.fixture(scope="session")
def hop() -> Callable[..., Hop]:
    """Carries out one hop: `hop(controller, executor, node, layer)`."""

    def run(controller: ProcessController, executor: SimulatedExecutor, node: int, layer: int) -> Hop:
        job = controller.dispatch(Assignment(node, layer))
        return controller.complete(job.id, executor.run(job))

    return run


@pytest.fixture(scope="session")
def strict_pool() -> dict[str, Any]:
    """Pool rules that nodes often offend against."""
    return {
        "min_availability": 0.1,
        "max_interruptions": 2,
        "max_slowness": 3,
        "max_gainless": 3,
        "leave_rate_per_h": 30,
        "cooldown_s": 10,
        "recovery_s": 15,
    }


@pytest.fixture(scope="session")
def random_network() -> Callable[[np.random.Generator], Network]:
    """Draws a network full of drop-outs."""

    def draw(rng: np.random.Generator) -> Network:
        """Outages of all lengths on both sides of the timeout; small batteries."""

        def trace(scale: float) -> Trace:
            size = int(rng.integers(1, 12))
            steps = rng.exponential(10, size) + 0.01
            values = scale * (0.1 + rng.random(size)) * (rng.random(size) > 0.25)
            return Trace("r", np.cumsum(steps) - steps, np.minimum(values, scale), steps.sum())

        profiles = [
            NodeProfile("n", 10 ** rng.uniform(5.5, 7), 8e6, 0.3, 0.5, rng.choice([0.5, 5.0, np.inf]))
            for _ in range(4)
        ]
        links = [LinkTrace("l", trace(2e5), trace(2e5), 0.05) for _ in range(4)]
        return Network(profiles, [trace(1.0) for _ in range(4)], links, timeout_s=5)

    return draw
