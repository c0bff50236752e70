"""Where a process is played: on a simulated network, or on nodes that are really there."""
