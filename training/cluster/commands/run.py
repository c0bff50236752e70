"""Carrying out the commands of the cluster."""

from __future__ import annotations

from snakegym.training.cluster.commands.config import ClientConfig, Cluster, NodeConfig, ServeConfig


def run(command: Cluster) -> None:
    """Carry out a command, which is valid. Raises SnakegymError."""
    if isinstance(command, ServeConfig):
        from snakegym.training.cluster.commands.serve import serve

        serve(command)
    elif isinstance(command, NodeConfig):
        from snakegym.training.cluster.commands.join import join

        join(command)
    elif isinstance(command, ClientConfig):
        from snakegym.training.cluster.commands.asking import ask

        ask(command)
