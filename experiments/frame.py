"""The picture of a process in the README: python experiments/frame.py docs/frame.png."""

import sys

import gymnasium as gym
import numpy as np
from matplotlib.image import imsave

import snakegym
from snakegym.envs.serpentine import SerpentineEnv

HOPS = 17

env = gym.make("snakegym:snakegym/Serpentine-v1", scenario="default", split="test", render_mode="rgb_array")
process = env.unwrapped
assert isinstance(process, SerpentineEnv)
scheduler = snakegym.make_scheduler("serpentine", process.scenario)
env.reset(seed=0)
scheduler.reset(seed=0)
while process.view().hops < HOPS:
    env.step(process.codec.encode(scheduler.schedule(process.view())))
frame = env.render()
assert isinstance(frame, np.ndarray)
imsave(sys.argv[1], frame, metadata={"Software": None})  # type: ignore[dict-item]
