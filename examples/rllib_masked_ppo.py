"""RLlib's PPO with action masks, on the masked form: `pip install 'ray[rllib]'`.

RLlib's own module for masks wants a Dict of `observations` and `action_mask`, which is what
`SerpentineMasked-v1` gives. RLlib makes environments in other processes, so the id starts with
`snakegym:`, the module that registers it.
"""

from __future__ import annotations

import argparse
import math

from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.examples.rl_modules.classes.action_masking_rlm import ActionMaskingTorchRLModule


def main(iterations: int, steps: int) -> float:
    """Train; the mean return of the last iteration's episodes."""
    config = (
        PPOConfig()
        .environment("snakegym:snakegym/SerpentineMasked-v1", env_config={"scenario": "default"})
        .env_runners(num_env_runners=0)  # more: each step trains a network, so a core each
        .training(train_batch_size_per_learner=steps, minibatch_size=min(64, steps), num_epochs=10, lr=3e-4)
        .rl_module(
            rl_module_spec=RLModuleSpec(
                module_class=ActionMaskingTorchRLModule,
                model_config={"fcnet_hiddens": [64, 64], "head_fcnet_hiddens": [64]},
            )
        )
        .debugging(seed=0)
    )
    algorithm = config.build_algo()
    mean = math.nan
    for i in range(iterations):
        runners = algorithm.train()["env_runners"]
        mean = runners.get("episode_return_mean", math.nan)
        print(f"iteration {i}: mean return {mean:.2f}, {runners['num_env_steps_sampled_lifetime']} steps")
    algorithm.stop()
    return mean


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--steps", type=int, default=512, help="environment steps an iteration")
    arguments = parser.parse_args()
    main(arguments.iterations, arguments.steps)
