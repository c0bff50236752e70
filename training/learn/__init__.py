"""`snakegym train`: reinforcement learning of a scheduler."""
