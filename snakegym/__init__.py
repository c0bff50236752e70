"""Snake Learning as a reinforcement-learning environment."""
