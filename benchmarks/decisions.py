"""What a decision costs: CPU time of one thread for every scheduler, on views of processes under way.

Networks are drawn at random and never change; the views are those after some random hops. Gains are those of
the general formula.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Sequence

import numpy as np
from machine import describe_machine, in_words, table

from snakegym.agents.protocol import Scheduler
from snakegym.agents.registry import is_privileged, list_schedulers, make_scheduler
from snakegym.control.controller import ProcessController
from snakegym.control.execution.executor import SimulatedExecutor
from snakegym.control.nodes.holdings import node_data
from snakegym.control.records import Assignment
from snakegym.control.service import load_service
from snakegym.control.view import ProcessView
from snakegym.data.partition import partition
from snakegym.network.network import Network, NodeProfile, constant_network
from snakegym.scenario import Scenario, load_scenario

SIZES = ((16, 9, "p2p"), (16, 9, "cs"), (100, 9, "p2p"), (100, 32, "cs"))
"""Nodes, middle layers and mode."""


def scenario_of(nodes: int, middle: int, mode: str) -> Scenario:
    """The default scenario with so many nodes and layers, and a budget that lasts."""
    plain = load_scenario("default").model_dump()
    plain["network"].update(nodes=nodes, mode=mode)
    plain["model"] = {"name": "mlp", "options": {"width": 16, "middle": middle}}
    plain["process"]["budget"] = {"time_s": 3600}
    plain["learning"]["epochs"] = 1
    return Scenario.model_validate(plain)


def random_network(nodes: int, rng: np.random.Generator) -> Network:
    """Nodes that differ widely."""
    profiles = [
        NodeProfile(f"node{i}", 10 ** rng.uniform(6, 7.5), 1e9, *rng.uniform(0.1, 0.8, 2))
        for i in range(nodes)
    ]
    rates = 10 ** rng.uniform(4, 6, (2, nodes))
    return constant_network(profiles, rng.uniform(0.2, 1, nodes), *rates, rtt_s=rng.uniform(0.01, 0.2, nodes))


def views(scenario: Scenario, hops: int, seed: int) -> list[ProcessView]:
    """After each of so many random hops, really trained."""
    rng = np.random.default_rng(seed)
    service, nodes = load_service(scenario), scenario.network.nodes
    network, train = random_network(nodes, rng), service.data.train
    indices = partition(scenario.data, train.targets.numpy(), nodes, train.n_classes, rng)
    data = node_data(train, indices, len(service.data.validation))
    state = service.model.initial_state(seed)
    controller = ProcessController(scenario, service.profile, network, data, state, 0.1, rng)
    executor, seen = SimulatedExecutor(controller, service.engine, service.data.validation), []
    for _ in range(hops):
        view = controller.view()
        seen.append(view)
        node, layer = (int(i) for i in rng.choice(np.argwhere(view.legal)))
        job = controller.dispatch(Assignment(node, layer))
        controller.complete(job.id, executor.run(job))
    return seen


def milliseconds(scheduler: Scheduler, seen: Sequence[ProcessView]) -> tuple[float, float]:
    """Median and maximum of one decision."""
    scheduler.reset(0)
    scheduler.schedule(seen[0])  # imports, caches
    spent = []
    for view in seen:
        scheduler.reset(0)
        start = time.process_time()
        scheduler.schedule(view)
        spent.append(1e3 * (time.process_time() - start))
    return float(np.median(spent)), max(spent)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scheduler", action="append", help="default: all that decide from a view alone")
    parser.add_argument("--hops", type=int, default=12)
    options = parser.parse_args(arguments)
    names = options.scheduler or [name for name in list_schedulers() if not is_privileged(name)]
    machine, columns = describe_machine(), dict[str, list[str]]()
    warnings.simplefilter("ignore")  # no gain model is fitted to these sizes
    for nodes, middle, mode in SIZES:
        scenario = scenario_of(nodes, middle, mode)
        seen = views(scenario, options.hops, seed=0)
        for name in names:
            median, most = milliseconds(make_scheduler(name, scenario), seen)
            columns.setdefault(name, []).append(f"{median:.2f} ({most:.2f})")
    print("CPU time of a decision, ms, median (maximum).", in_words(machine))
    print()
    sizes = [f"{nodes} x {middle} {mode}" for nodes, middle, mode in SIZES]
    print(table(["scheduler", *sizes], [[name, *cells] for name, cells in columns.items()]))


if __name__ == "__main__":
    main(sys.argv[1:])
