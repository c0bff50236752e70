"""The pool that a command is to use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from snakegym.errors import SnakegymError
from snakegym.training.pool.processes import Processes
from snakegym.training.pool.seam import Pool


@contextmanager
def opened(ray: str | None) -> Iterator[Pool]:
    """A pool, until the block ends.

    Args:
        ray: address of a Ray cluster as `--ray` takes it; None: processes of this machine.

    Raises:
        SnakegymError: Ray is not installed, is not at that address, or is another version there.
    """
    if ray is None:
        yield Processes()
        return
    try:
        from snakegym.training.pool.cluster import connected
    except ImportError:
        raise SnakegymError(
            "--ray: found no Ray here, expected it: pip install 'snakegym[ray]' adds it"
        ) from None
    with connected(ray) as cluster:
        yield cluster
