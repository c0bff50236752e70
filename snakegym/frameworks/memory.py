"""Whether the nodes have the memory for what a framework is going to ask of them."""

from __future__ import annotations

import numpy as np

from snakegym.errors import SnakegymError
from snakegym.frameworks.problem import Problem
from snakegym.network.costs import soft_target_bytes


def check_hop_memory(problem: Problem, *, originals: bool = True) -> None:
    """Whether every node could train every middle layer; a node that distils keeps its teacher's outputs too.

    Args:
        problem: the nodes and the model.
        originals: as in `ModelProfile.hop_memory`: True in P2P mode.

    Raises:
        SnakegymError: a node could not.
    """
    scenario, network, nodes = problem.scenario, problem.network, problem.nodes
    learning, distillation = scenario.learning, scenario.learning.distillation
    needed = np.tile(problem.profile.hop_memory(learning, originals=originals), (network.n_nodes, 1))
    if distillation is not None and distillation.weight > 0:
        each = soft_target_bytes(nodes.labels.shape[1], learning.teacher_passes)
        needed = needed + each * nodes.samples[:, None]
    lacking = np.argwhere(network.memory_bytes[:, None] < needed)
    if len(lacking):
        node, layer = (int(i) for i in lacking[0])
        name = network.profiles[node].name
        raise SnakegymError(
            f"scenario '{scenario.name}', field 'network.devices': node {node} ({name}) "
            f"has {network.memory_bytes[node]:.0f} bytes of memory, but a hop on middle layer {layer} needs "
            f"{needed[node, layer]:.0f}"
        )
