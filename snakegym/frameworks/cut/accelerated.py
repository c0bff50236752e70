"""Accelerated federated learning with locally generated losses.

Han et al., "Accelerating Federated Learning with Split Learning on Locally Generated Losses",
ICML 2021 Workshop on Federated Learning for User Privacy and Data Confidentiality.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from snakegym.frameworks.cut.base import CUT, CutFramework
from snakegym.frameworks.cut.pipeline import train_with_local_loss
from snakegym.frameworks.ledger import Ledger, batch_sizes
from snakegym.frameworks.problem import Problem
from snakegym.learning.aggregation import average
from snakegym.models.state import LayerState, ModelState
from snakegym.network import costs
from snakegym.network.records import PCE


class AcceleratedFL(CutFramework):
    """Nodes train their layers with a linear head of their own and never wait for gradients.

    They send activations and labels as they go; the server trains a copy of its part on each node's,
    side by side, with the loss at the model's output. At the end of a round the nodes' layers and
    heads are averaged as in federated averaging, and so are the server's copies. `state` holds the
    head behind the model's layers.
    """

    def __init__(self, problem: Problem, cut: int = CUT) -> None:
        super().__init__(problem, cut)
        self._head = _head(int(self.smashed) // 4, problem.data.n_classes, problem.seed)
        self._head.to(problem.data.train.inputs.device)
        head = {name: p.detach() for name, p in self._head.named_parameters()}
        self.state = ModelState((*problem.initial.layers, head))
        self.head_bytes = float(sum(t.numel() * t.element_size() for t in head.values()))
        forward = [*problem.profile.forward_flops[:cut].tolist(), self._head_flops()]
        self.client_flops = costs.training_flops(forward, range(cut + 1))

    @property
    def model_state(self) -> ModelState:
        """Client and server parts, one behind the other."""
        return ModelState(self.state.layers[:-1])

    def node_memory(self) -> float:
        """That of training the client's layers and the head, which keeps its inputs."""
        profile, learning = self.problem.profile, self.problem.scenario.learning
        return costs.hop_memory(
            [*profile.n_bytes[: self.cut].tolist(), self.head_bytes],
            [*profile.activation_bytes[: self.cut].tolist(), self.smashed],
            range(self.cut + 1),
            learning.batch_size,
            learning.optimizer,
            scratch_bytes=profile.scratch_bytes[: self.cut].max(),
        )

    def _train(self, ledger: Ledger) -> float:
        problem, samples = self.problem, self.problem.samples
        states, losses = [], []
        for node in range(problem.n_nodes):
            self._load_head(self.state.layers[-1])
            job = problem.job(self.model_state, node, self.rounds, problem.all_layers)
            result, _ = train_with_local_loss(problem.model, self._head, job, self.cut)
            head = {name: p.detach().clone() for name, p in self._head.named_parameters()}
            states.append(ModelState((*result.state.layers, head)))
            losses.append(result.loss)
            self._book(ledger, node)
        self.state = average(states, samples)
        ledger.synchronisations += 1
        self._count_round()
        return float(np.average(losses, weights=samples))

    def _book(self, ledger: Ledger, node: int) -> None:
        """Activations leave as they are made, while the node computes on; its layers follow them."""
        learning, samples = self.problem.scenario.learning, self.problem.samples[node]
        own = self.client_bytes + self.head_bytes
        done = sent = ledger.send(PCE, node, own, ledger.start_s)
        for n in batch_sizes(samples, learning.batch_size, learning.epochs):
            done = ledger.compute(node, n * self.client_flops, done)
            n_bytes = costs.smashed_bytes(self.smashed, n, labels=True)
            sent = ledger.send(node, PCE, n_bytes, max(done, sent), acknowledged=False)
        ledger.send(node, PCE, own, max(done, sent))

    def _head_flops(self) -> float:
        """A multiply-add counts as two, as in the profile."""
        return float(2 * sum(p.numel() for p in self._head.parameters() if p.ndim > 1))

    def _load_head(self, tensors: LayerState) -> None:
        for name, parameter in self._head.named_parameters():
            parameter.data = tensors[name].clone()


def _head(features: int, n_classes: int, seed: int) -> nn.Module:
    """A linear layer on flattened activations; weights of variance 1 / features, zero biases."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        linear = nn.Linear(features, n_classes)
        linear.weight.normal_(0, 1 / math.sqrt(features), generator=generator)
        linear.bias.zero_()
    return nn.Sequential(nn.Flatten(), linear).requires_grad_(False)
