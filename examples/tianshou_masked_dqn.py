"""tianshou's DQN with action masks, on the masked form: `pip install tianshou`.

tianshou looks for the mask in `obs.mask` and for the rest in `obs.obs`, so the keys are named so.
"""

from __future__ import annotations

import argparse

import gymnasium as gym
import torch
from tianshou.algorithm.modelfree.dqn import DQN, DiscreteQLearningPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.trainer import OffPolicyTrainerParams
from tianshou.utils.net.common import Net


def make(split: str) -> gym.Env:
    """The masked form with tianshou's keys."""
    return gym.make(
        "snakegym:snakegym/SerpentineMasked-v1", split=split, observation_key="obs", mask_key="mask"
    )


def main(epochs: int, steps: int) -> float:
    """Train; the best mean return on validation traces."""
    torch.manual_seed(0)
    env = make("train")
    training = DummyVectorEnv([lambda: make("train")] * 2)
    validation = DummyVectorEnv([lambda: make("validation")] * 2)
    training.seed(0)
    validation.seed(100)
    net = Net(
        state_shape=env.observation_space["obs"].shape, action_shape=env.action_space.n, hidden_sizes=[64, 64]
    )
    policy = DiscreteQLearningPolicy(model=net, action_space=env.action_space, eps_training=0.1)
    algorithm = DQN(policy=policy, optim=AdamOptimizerFactory(lr=1e-3), gamma=0.99, target_update_freq=200)
    result = algorithm.run_training(
        OffPolicyTrainerParams(
            training_collector=Collector[object](
                algorithm, training, VectorReplayBuffer(20_000, 2), exploration_noise=True
            ),
            test_collector=Collector[object](algorithm, validation),
            max_epochs=epochs,
            epoch_num_steps=steps,
            collection_step_num_env_steps=16,
            update_step_num_gradient_steps_per_sample=0.25,
            test_step_num_episodes=4,
            batch_size=64,
            show_progress=False,
        )
    )
    print(f"best mean return on validation traces: {result.best_score:.2f}")
    return float(result.best_score)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--steps", type=int, default=1000, help="environment steps an epoch")
    arguments = parser.parse_args()
    main(arguments.epochs, arguments.steps)
