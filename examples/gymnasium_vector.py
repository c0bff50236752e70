"""Gymnasium alone: sixteen processes trained together, random legal actions, statistics by a wrapper."""

from __future__ import annotations

import argparse

import gymnasium as gym
import numpy as np
from gymnasium.wrappers.vector import RecordEpisodeStatistics


def main(steps: int, num_envs: int = 16) -> float:
    """Play; the mean return of the episodes that ended."""
    env = RecordEpisodeStatistics(
        gym.make_vec("snakegym:snakegym/Serpentine-v1", num_envs=num_envs, max_episode_steps=30)
    )
    rng = np.random.default_rng(0)
    _, infos = env.reset(seed=0)
    for _ in range(steps):
        legal = infos["action_mask"] * rng.random(infos["action_mask"].shape)
        *_, infos = env.step(legal.argmax(axis=1))
    returns = list(env.return_queue)
    print(f"{len(returns)} episodes, mean return {np.mean(returns):.2f}")
    return float(np.mean(returns))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=100)
    main(parser.parse_args().steps)
