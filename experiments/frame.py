"""The picture of a process in the README: python experiments/frame.py docs/frame.png."""

import sys

import gymnasium as gym
from matplotlib.image import imsave

import snakegym

HOPS = 17

env = gym.make("snakegym:snakegym/Serpentine-v1", scenario="default", split="test", render_mode="rgb_array")
process = env.unwrapped
scheduler = snakegym.make_scheduler("serpentine", process.scenario)
env.reset(seed=0)
scheduler.reset(seed=0)
while process.view().hops < HOPS:
    env.step(process.codec.encode(scheduler.schedule(process.view())))
imsave(sys.argv[1], env.render(), metadata={"Software": None})
