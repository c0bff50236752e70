"""Processes on this machine: real training, on the network that a scenario simulates."""
