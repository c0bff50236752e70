"""What all frameworks are compared on: data on nodes, a network, a model and its initial state."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch

from snakegym.control.nodes.holdings import NodeData, node_data
from snakegym.control.service import load_service
from snakegym.data.datasets import DataParts
from snakegym.data.partition import spread
from snakegym.learning.jobs import Engine, LocalTraining
from snakegym.learning.sequential import SequentialEngine
from snakegym.models.layered import LayeredModel
from snakegym.models.profile import ModelProfile
from snakegym.models.state import ModelState
from snakegym.network.network import Network, draw_network
from snakegym.scenario import Scenario, Split


@dataclass(frozen=True, eq=False)
class Problem:
    """One draw of network, partition and initial model; the same seed gives the same draw."""

    scenario: Scenario
    data: DataParts
    model: LayeredModel
    profile: ModelProfile
    engine: Engine
    network: Network
    nodes: NodeData
    initial: ModelState
    seed: int

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return self.network.n_nodes

    @property
    def samples(self) -> list[int]:
        """Samples of every node."""
        return [len(indices) for indices in self.nodes.indices]

    def job(
        self, state: ModelState, node: int, round_: int, layers: tuple[int, ...], rank: int | None = None
    ) -> LocalTraining:
        """The local training of a node in a round; the order of its samples depends on these alone.

        Of middle layers adapters are trained where there is a `rank`.
        """
        return replace(self._job(state, self.nodes.indices[node], round_, node, layers), rank=rank)

    def pooled_job(self, state: ModelState, round_: int) -> LocalTraining:
        """The training of the whole model on all nodes' samples together."""
        return self._job(state, torch.cat(self.nodes.indices), round_, self.n_nodes, self.all_layers)

    @property
    def all_layers(self) -> tuple[int, ...]:
        """Indices of the layers of the model."""
        return tuple(range(self.model.n_layers))

    def _job(
        self, state: ModelState, indices: torch.Tensor, round_: int, who: int, layers: tuple[int, ...]
    ) -> LocalTraining:
        learning = self.scenario.learning
        seed = np.random.SeedSequence([self.seed, round_, who]).generate_state(1)[0] >> 1
        return LocalTraining(
            state=state,
            middle=0,
            data=self.nodes.train,
            indices=indices,
            config=learning,
            learning_rate=learning.rate(round_),
            seed=int(seed),
            layers=layers,
        )


def load_problem(
    scenario: Scenario, seed: int, *, split: Split = "test", traces: str | None = None, device: str = "cpu"
) -> Problem:
    """Draw the problem of a seed; data and initial model lie on `device`.

    Raises:
        SnakegymError: whatever is wrong with data, model, traces or devices.
    """
    service = load_service(scenario, split, traces)
    network_rng, data_rng, model_rng = (np.random.default_rng([seed, part]) for part in range(3))
    train = service.data.train
    indices = spread(scenario.data, train, scenario.network.nodes, data_rng)
    nodes, data = node_data(train, indices, len(service.data.validation)), _data_on(device, service.data)
    return Problem(
        scenario=scenario,
        data=data,
        model=service.model,
        profile=service.profile,
        engine=SequentialEngine(service.model),
        network=draw_network(scenario.network, service.library, network_rng),
        nodes=replace(nodes, train=data.train, indices=tuple(i.to(device) for i in nodes.indices)),
        initial=state_on(device, service.initial_state(int(model_rng.integers(2**31)))),
        seed=seed,
    )


def state_on(device: str, state: ModelState) -> ModelState:
    """The same model with its tensors on that device."""
    return ModelState(tuple({name: t.to(device) for name, t in layer.items()} for layer in state.layers))


def _data_on(device: str, data: DataParts) -> DataParts:
    if device == "cpu":
        return data
    parts = {name: getattr(data, name).to(device) for name in ("train", "validation", "test")}
    return replace(data, **parts)


def balanced_cuts(forward_flops: list[float], parts: int) -> tuple[int, ...]:
    """Bounds of `parts` runs of layers, each with at least one, whose largest share of work is smallest.

    Args:
        forward_flops: per layer.
        parts: at least 1, at most the number of layers.
    """
    n = len(forward_flops)
    best: dict[tuple[int, int], tuple[float, tuple[int, ...]]] = {(0, 0): (0.0, (0,))}
    for part in range(1, parts + 1):
        for end in range(part, n + 1):
            best[part, end] = min(
                (max(load, sum(forward_flops[start:end])), (*cuts, end))
                for start in range(part - 1, end)
                if (part - 1, start) in best
                for load, cuts in [best[part - 1, start]]
            )
    return best[parts, n][1]


def runs(bounds: tuple[int, ...]) -> list[range]:
    """The layers of each part: `bounds` (0, 2, 11) gives layers 0 and 1, and layers 2 to 10."""
    return [range(a, b) for a, b in pairwise(bounds)]
