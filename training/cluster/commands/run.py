"""Carrying out the commands of the cluster."""

from __future__ import annotations

from snakegym.training.cluster.commands.config import ClientConfig, Cluster, ServeConfig


def run(command: Cluster) -> None:
    """Carry out a command, which is valid. Raises SnakegymError."""
    if isinstance(command, ServeConfig):
        from snakegym.training.cluster.commands.serve import serve

        serve(command)
    elif isinstance(command, ClientConfig):
        from snakegym.training.cluster.commands.asking import ask

        ask(command)
