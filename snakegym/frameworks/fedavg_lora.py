"""Federated averaging of low-rank adapters.

McMahan et al., arXiv:1602.05629, on the adapters of Hu et al., arXiv:2106.09685, which the server stacks, as
Wang et al., "FLoRA", arXiv:2409.05976: the mean of products is no product of means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from snakegym.frameworks.fedavg import Federated
from snakegym.frameworks.ledger import Ledger
from snakegym.frameworks.problem import Problem
from snakegym.learning.jobs import LocalTraining
from snakegym.models.adapters import check_rank
from snakegym.models.profile_adapters import AdapterProfile, profile_adapters
from snakegym.network import costs
from snakegym.scenario import LoraConfig

FASTER = 4.0
"""Adapters learn at that many times the rate of weights: chosen on validation samples of a small model, where
they otherwise come nowhere in as many passes."""


class FedAvgLora(Federated):
    """Every node trains adapters of all middle layers; the mean of their products goes into the weights.

    Adapters are fresh every round, and the ends are frozen. A node sends its own and receives everybody's,
    side by side, which is exactly the mean; what it pays for that is n nodes' adapters a round on the way
    down. In the first round it receives the model. The rank is `learning.lora.rank`, where it is a number,
    else 8.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        lora = problem.scenario.learning.lora or LoraConfig()
        self.rank = lora.rank if isinstance(lora.rank, int) else 8
        self._middle = tuple(range(1, problem.model.n_layers - 1))
        check_rank(problem.model, self._middle, self.rank, "framework 'fedavg-lora'")
        self._profile: AdapterProfile = problem.profile.adapters or profile_adapters(
            problem.model.eval().requires_grad_(False), problem.data.train.inputs[:2].to("cpu")
        )
        self._bytes = self.rank * float(self._profile.bytes_per_rank.sum())

    def _train(self, ledger: Ledger) -> float:
        problem = self.problem
        jobs = [self._job(node) for node in range(problem.n_nodes)]
        model = float(problem.profile.n_bytes.sum())
        down = problem.n_nodes * self._bytes if self.rounds else model
        return self._averaged(ledger, jobs, down, self._bytes, self._flops())

    def _job(self, node: int) -> LocalTraining:
        job = self.problem.job(self.state, node, self.rounds, self._middle, self.rank)
        return replace(job, learning_rate=FASTER * job.learning_rate)

    def _flops(self) -> float:
        """Of training on one sample: of all middle layers but the first gradients are passed on."""
        profile, own = self.problem.profile, self._profile
        middle = list(self._middle)
        forward = profile.forward_flops + own.forward_flops.at(self.rank)
        back = profile.frozen_backward_flops.copy()
        back[middle] = own.backward_flops.at(self.rank)[middle]
        first = own.first_backward_flops.at(self.rank)
        return costs.training_flops(
            forward.tolist(), middle[:1], frozen_flops=back.tolist(), first_flops=first.tolist()
        )

    def _activations(self) -> Sequence[float]:
        kept, own = self.problem.profile.frozen_activation_bytes.copy(), self._profile
        kept[list(self._middle)] = own.activation_bytes.at(self.rank)[list(self._middle)]
        kept[1] = own.first_activation_bytes.at(self.rank)[1]
        found: list[float] = kept.tolist()
        return found

    def node_memory(self) -> float:
        """The model, activations from the first block on, and adapters with gradients and moments."""
        profile, learning = self.problem.profile, self.problem.scenario.learning
        return costs.hop_memory(
            profile.n_bytes.tolist(),
            self._activations(),
            self._middle,
            learning.batch_size,
            learning.optimizer,
            scratch_bytes=profile.scratch_bytes.max(),
            adapted=self._middle,
            adapter_bytes=self._bytes,
        )
