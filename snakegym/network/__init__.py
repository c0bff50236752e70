"""Networks that replay traces, what things cost on them, and the simulator of a hop."""
