"""What can be wrong with a request to a provider, besides its content."""

from __future__ import annotations

from snakegym.errors import SnakegymError


class MissingError(SnakegymError):
    """There is no such service, process, node or operation."""


class ConflictError(SnakegymError):
    """That cannot be as things are: the name is taken, the process is over, the service in use."""
