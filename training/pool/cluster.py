"""The pool of a Ray cluster: how it is reached; this module and `crew` are those that import Ray."""

from __future__ import annotations

import logging
import os
import pickle
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ray

from snakegym.errors import SnakegymError, in_one_line
from snakegym.processes import deaf_to_ctrl_c
from snakegym.training.pool.address import check_address
from snakegym.training.pool.crew import Crew, n_processors
from snakegym.training.pool.seam import (
    Heard,
    Result,
    Say,
    Task,
)

TRIES = 3
"""To begin the server that each client gets."""


@contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """The cluster at an address as `ray.init` takes it; `local`: one of this machine, for this block alone.

    A program that uses Ray already stays with the cluster that it has.

    Raises:
        SnakegymError: there is no Ray, another version of it, or one without processors.
    """
    if ray.is_initialized():
        yield Cluster()
        return
    check_address(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # of `local`: it is this command that works
    if address.startswith("ray://"):  # Ray looks for a token by itself in all cases but this one
        _send_token()
    # Not told by `log_to_driver`, Ray prints of each dead worker a paragraph into the tables.
    ray._private.worker._worker_logs_enabled = False
    options: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    try:
        with deaf_to_ctrl_c(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _init(address, options)
    except Exception as error:  # Ray raises many
        raise SnakegymError(_why_not(address, error)) from None
    try:
        if n_processors() < 1:
            raise SnakegymError(f"--ray: found no processor at '{address}', expected a machine with one")
        yield Cluster()
    finally:
        with deaf_to_ctrl_c():
            ray.shutdown()


def _init(address: str, options: dict[str, Any]) -> None:
    for tries_left in reversed(range(TRIES)):
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **options)
            return
        except Exception as error:  # Ray raises many
            # The server that each client gets had not begun within Ray's 30 s, on a busy machine.
            if not tries_left or "Starting Ray client server failed" not in str(error):
                raise


def _send_token() -> None:
    """Send the token that clusters have by default, where this machine has it."""
    from ray._private.authentication import authentication_token_setup as setup  # there is no public way

    logging.getLogger(setup.__name__).setLevel(logging.ERROR)
    setup.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)


def _why_not(address: str, error: Exception) -> str:
    said = in_one_line(error)
    if "ersion mismatch" in said:
        return (
            f"--ray: found another version at '{address}', expected Ray {ray.__version__} and Python "
            f"{sys.version.split()[0]} on all machines (pip install ray==VERSION): {said[:300]}"
        )
    token = " (a token that this machine lacks would look like that, too)" if "timeout" in said else ""
    return f"--ray: found no Ray at '{address}' that can be used, expected one: {said[:300]}{token}"


class Cluster:
    """The pool of a Ray cluster; each task has one processor, and a GPU where it computes on one."""

    is_remote = True

    def width(self, jobs: int | None, tasks: int, worth_a_worker: int = 1) -> int:
        """As asked, else as many as there are tasks: Ray keeps them waiting; see `Pool`."""
        return max(1, min(jobs or tasks, tasks))

    @contextmanager
    def working(
        self,
        work: Callable[[Task, Say], Result],
        tasks: Sequence[Task],
        width: int,
        *,
        heard: Heard | None = None,
        threads: int | None = 1,
        device: str = "cpu",
    ) -> Iterator[Iterator[tuple[Task, Result]]]:
        """Work through tasks; see `Pool`."""
        crew = Crew(pickle.dumps(work), tasks, width, heard, threads, device)
        try:
            crew.give_out()
            yield crew.results()
        finally:
            crew.end()
