"""Sweeps on W&B's server: creating one, and being an agent of it in this process."""

from __future__ import annotations

import contextlib
import io
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from snakegym.documents import parse_yaml
from snakegym.errors import SnakegymError
from snakegym.files import read_text
from snakegym.processes import variable_set

IDLE_S = 120.0
"""Without a trial to run, until an agent ends: W&B's own waits for ever for a server that is gone."""
POLL_S = 0.1


def create_sweep(document: Mapping[str, Any], entity: str | None, project: str | None) -> tuple[str, str]:
    """Create a sweep on the server.

    Args:
        document: the content of a sweep file.
        entity: whose it is; None: the user's.
        project: it belongs to.

    Returns:
        What `wandb agent` takes, and what W&B said of it.

    Raises:
        Exception: whatever W&B raises: no key, a refused one, no network, a file that it does not take.
    """
    import wandb

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        sweep_id = wandb.sweep(dict(document), entity=entity, project=project)
    place = [part for part in (os.environ.get("WANDB_ENTITY"), os.environ.get("WANDB_PROJECT")) if part]
    return "/".join([*place, sweep_id]), " ".join(said.getvalue().split())


def run_agent(
    sweep: str, count: int | None, folder: Path, train: Callable[[str, Mapping[str, Any]], None]
) -> bool:
    """Run what the server gives out, one trial after the other, until it has no more.

    Args:
        sweep: as `create_sweep` gives it.
        count: trials at most; None: no limit.
        folder: for W&B's files.
        train: called with the id of each run and its parameters, in a thread; raises nothing.

    Returns:
        Whether the server ended it; False if nothing was heard of it for IDLE_S.
    """
    import wandb

    clock = _Clock()

    def run() -> None:
        with clock.running():
            train(os.environ["WANDB_RUN_ID"], parameters_given())

    faults: list[BaseException] = []

    def act() -> None:
        try:
            wandb.agent(sweep, function=run, count=count)
        except BaseException as error:
            faults.append(error)

    # W&B's agent writes its files below WANDB_DIR, which it sets to the working folder.
    with variable_set("WANDB_DIR", str(folder.resolve())):
        thread = threading.Thread(target=act, daemon=True)
        thread.start()
        while thread.is_alive() and clock.idle_s() < IDLE_S:
            thread.join(POLL_S)
    if faults:
        raise SnakegymError(f"Weights & Biases: the agent failed: {' '.join(str(faults[0]).split())}")
    return not thread.is_alive()


def parameters_given() -> dict[str, Any]:
    """The parameters of the run that the server gave out, from the file that W&B's agent names.

    Raises:
        SnakegymError: there is none, or it cannot be read.
    """
    path = Path(os.environ.get("WANDB_SWEEP_PARAM_PATH", ""))
    found = parse_yaml(read_text(path, "the parameters of the sweep"), str(path)) or {}
    return {k: v["value"] for k, v in found.items() if isinstance(v, dict) and "value" in v}


class _Clock:
    """How long nothing has been run."""

    def __init__(self) -> None:
        self._since: float | None = time.monotonic()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        self._since = None
        try:
            yield
        finally:
            self._since = time.monotonic()

    def idle_s(self) -> float:
        since = self._since
        return 0.0 if since is None else time.monotonic() - since
