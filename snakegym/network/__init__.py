"""Traces, nodes, costs and the simulator of a hop."""
