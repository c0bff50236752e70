"""Whether the nodes have the memory for what a framework is going to ask of them."""

from __future__ import annotations

import numpy as np

from snakegym.errors import SnakegymError
from snakegym.frameworks.problem import Problem
from snakegym.network.costs import soft_target_bytes


def check_hop_memory(problem: Problem, *, originals: bool = True) -> None:
    """Whether every node could train every middle layer, or its adapters of the lowest rank.

    A node that distils keeps its teacher's outputs too.

    Args:
        problem: the nodes and the model.
        originals: as in `ModelProfile.hop_memory`: True in P2P mode.

    Raises:
        SnakegymError: a node could not.
    """
    scenario, network, nodes = problem.scenario, problem.network, problem.nodes
    learning, distillation = scenario.learning, scenario.learning.distillation
    rank = None if learning.lora is None else learning.lora.choices[0]
    memory = problem.profile.hop_memory(learning, originals=originals, rank=rank)
    needed = memory + nodes.samples[:, None] * problem.profile.kept_bytes(learning)
    if distillation is not None and distillation.weight > 0:
        each = soft_target_bytes(float(problem.profile.output_bytes[-1]), learning.teacher_passes)
        needed = needed + each * nodes.samples[:, None]
    lacking = np.argwhere(network.memory_bytes[:, None] < needed)
    if len(lacking):
        node, layer = (int(i) for i in lacking[0])
        raise _lacking(problem, node, f"a hop on middle layer {layer}", float(needed[node, layer]))


def check_node_memory(problem: Problem, needed: float, framework: str) -> None:
    """Whether every node has the bytes that a framework needs of each, by formula.

    Raises:
        SnakegymError: a node has not.
    """
    node = int(problem.network.memory_bytes.argmin())
    if problem.network.memory_bytes[node] < needed:
        raise _lacking(problem, node, framework, needed)


def _lacking(problem: Problem, node: int, what: str, needed: float) -> SnakegymError:
    network = problem.network
    return SnakegymError(
        f"scenario '{problem.scenario.name}', field 'network.devices': node {node} "
        f"({network.profiles[node].name}) has {network.memory_bytes[node]:.0f} bytes of memory, but {what} "
        f"needs {needed:.0f}"
    )
