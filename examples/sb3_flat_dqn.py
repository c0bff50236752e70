"""SB3's DQN on the flat form. It knows no masks: what it may not do is a penalised wait, which it learns."""

from __future__ import annotations

import argparse

import numpy as np
from stable_baselines3 import DQN

from snakegym.envs.sb3 import SerpentineVecEnv


def main(timesteps: int) -> float:
    """Train; the mean return of the last episodes."""
    model = DQN(
        "MlpPolicy",
        SerpentineVecEnv(4, observation="flat"),
        learning_starts=min(1000, timesteps // 2),
        buffer_size=50_000,
        train_freq=4,
        target_update_interval=500,
        exploration_fraction=0.5,
        seed=0,
        device="cpu",
    )
    model.learn(timesteps)
    mean = float(np.mean([episode["r"] for episode in model.ep_info_buffer or ()]))
    print(f"mean return of the last {len(model.ep_info_buffer or ())} episodes: {mean:.2f}")
    return mean


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timesteps", type=int, default=20_000)
    main(parser.parse_args().timesteps)
