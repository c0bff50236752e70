"""What a user runs: train, evaluate, scenarios."""
