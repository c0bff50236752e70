"""TorchRL's PPO with action masks, on the masked form: `pip install torchrl`.

`SerpentineMasked-v1` gives the boolean `action_mask` that TorchRL's `MaskedCategorical` takes.
"""

from __future__ import annotations

import argparse

import torch
from tensordict.nn import TensorDictModule
from torch import nn
from torchrl.collectors import Collector
from torchrl.envs import Compose, GymEnv, RewardSum, StepCounter, TransformedEnv
from torchrl.modules import MaskedCategorical, ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE


def network(inputs: int, outputs: int) -> nn.Sequential:
    """Two hidden layers."""
    return nn.Sequential(
        nn.Linear(inputs, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, outputs)
    )


def main(iterations: int, steps: int) -> float:
    """Train; the mean return of the last iteration's episodes (NaN if none ended)."""
    torch.manual_seed(0)
    env = TransformedEnv(
        GymEnv("snakegym:snakegym/SerpentineMasked-v1", categorical_action_encoding=True),
        Compose(RewardSum(), StepCounter()),
    )
    env.set_seed(0)
    inputs, actions = env.observation_spec["observations"].shape[-1], env.action_spec.n
    logits = TensorDictModule(network(inputs, actions), in_keys=["observations"], out_keys=["logits"])
    actor = ProbabilisticActor(
        logits,
        in_keys={"logits": "logits", "mask": "action_mask"},
        distribution_class=MaskedCategorical,
        spec=env.action_spec,
        return_log_prob=True,
    )
    critic = ValueOperator(network(inputs, 1), in_keys=["observations"])
    advantage = GAE(gamma=0.99, lmbda=0.95, value_network=critic)
    loss = ClipPPOLoss(actor, critic, clip_epsilon=0.2, entropy_coeff=0.01)
    optimizer = torch.optim.Adam(loss.parameters(), lr=3e-4)
    mean = float("nan")
    for i, batch in enumerate(Collector(env, actor, frames_per_batch=steps, total_frames=iterations * steps)):
        for _ in range(10):
            advantage(batch)
            for part in batch.reshape(-1)[torch.randperm(batch.numel())].split(64):
                terms = loss(part)
                total = terms["loss_objective"] + terms["loss_critic"] + terms["loss_entropy"]
                optimizer.zero_grad()
                total.backward()
                nn.utils.clip_grad_norm_(loss.parameters(), 0.5)
                optimizer.step()
        returns = batch["next", "episode_reward"][batch["next", "done"]]
        mean = returns.mean().item() if len(returns) else mean
        chosen = batch["action_mask"].gather(-1, batch["action"].unsqueeze(-1))
        print(f"iteration {i}: mean return {mean:.2f}, {int((~chosen).sum())} illegal actions")
    return mean


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--steps", type=int, default=512, help="environment steps an iteration")
    arguments = parser.parse_args()
    main(arguments.iterations, arguments.steps)
