"""Nodes and controllers as actors of a Ray cluster. What is found out about Ray is in docs/cluster.md."""
