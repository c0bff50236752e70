"""Weights & Biases, if it is there; training never depends on it."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from snakegym.training.learn.config import WandbMode

INIT_SECONDS = 15
"""W&B's own limit is 90 s, more than once; WANDB_INIT_TIMEOUT overrules this one."""
FINISH_SECONDS = 60
"""For what is still to be sent at the end; WANDB_FINISH_TIMEOUT overrules it. The rest stays on the disk."""


class Tracker(Protocol):
    """Where metrics go besides the run folder."""

    def log(self, metrics: Mapping[str, float], timesteps: int) -> None:
        """Metrics at this number of environment steps."""
        ...

    def finish(self, summary: Mapping[str, Any], exit_code: int = 0) -> None:
        """Final metrics; nothing is logged afterwards."""
        ...


class NoTracker:
    """Drops everything."""

    def log(self, metrics: Mapping[str, float], timesteps: int) -> None: ...

    def finish(self, summary: Mapping[str, Any], exit_code: int = 0) -> None: ...


class WandbTracker:
    """One W&B run; a fault of W&B is reported once and then ignored."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def log(self, metrics: Mapping[str, float], timesteps: int) -> None:
        """Log under the step `timesteps`."""
        self._safely(lambda run: run.log({"timesteps": timesteps, **metrics}, step=timesteps))

    def finish(self, summary: Mapping[str, Any], exit_code: int = 0) -> None:
        """Write the summary and wait until all is on disk (or sent)."""
        self._safely(lambda run: run.summary.update(dict(summary)))
        self._safely(lambda run: run.finish(exit_code=exit_code))
        self._run = None

    def _safely(self, action: Any) -> None:
        if self._run is None:
            return
        try:
            action(self._run)
        except Exception as error:  # tracking must never end a training run
            self._run = None
            _warn(f"Weights & Biases failed, training goes on without it: {error}")


def wandb_mode(wanted: WandbMode) -> str:
    """The mode for W&B: what was asked for, else WANDB_MODE, else online only if logged in."""
    if wanted != "auto":
        return wanted
    if os.environ.get("WANDB_MODE"):
        return os.environ["WANDB_MODE"]
    return "online" if _logged_in() else "offline"


def start_tracker(
    wanted: WandbMode, folder: Path, run_id: str, name: str, config: Mapping[str, Any]
) -> Tracker:
    """Begin a W&B run whose files go to `folder`/wandb; a tracker that drops everything if impossible.

    Args:
        wanted: what the user asked for.
        folder: the run folder.
        run_id: stays the same when a run is resumed, so that W&B joins the parts.
        name: shown by W&B.
        config: hyperparameters and scenario.
    """
    if "disabled" in (wanted, os.environ.get("WANDB_MODE") if wanted == "auto" else None):
        return NoTracker()
    try:
        import wandb
    except ImportError:
        _warn("wandb is not installed, so nothing is logged to it: pip install 'snakegym[wandb]' adds it")
        return NoTracker()
    logging.getLogger("wandb").setLevel(logging.ERROR)
    arguments = {"dir": str(folder.resolve()), "id": run_id, "name": name, "config": dict(config)}
    try:
        # Otherwise it asks the server for the user's name, only to print it.
        wandb.setup(settings=wandb.Settings(silent=True))
        mode = wandb_mode(wanted)
        return _online(folder, arguments) if mode == "online" else _init(mode, arguments)
    except Exception as error:
        _warn(f"Weights & Biases cannot start, training goes on without it: {' '.join(str(error).split())}")
        return NoTracker()


def _online(folder: Path, arguments: Mapping[str, Any]) -> WandbTracker:
    """A run that is sent; where the server cannot be used, one that is kept, after a warning."""
    import wandb

    host = wandb.setup().settings.base_url
    seconds = int(os.environ.get("WANDB_INIT_TIMEOUT") or INIT_SECONDS)
    print(f"waiting for Weights & Biases at {host}, {seconds} s at most", file=sys.stderr, flush=True)
    try:
        # Asked before a run begins: one that W&B could not announce stays in the way of one offline.
        wandb.Api(timeout=seconds)
    except Exception as error:
        _warn(
            f"Weights & Biases cannot be used online, training goes on and is logged offline in "
            f"{folder / 'wandb'} (`wandb sync` sends it later): {' '.join(str(error).split())}"
        )
        return _init("offline", arguments)
    return _init("online", arguments)


def _init(mode: str, arguments: Mapping[str, Any]) -> WandbTracker:
    import wandb

    limits: dict[str, Any] = {}
    if mode == "online" and "WANDB_INIT_TIMEOUT" not in os.environ:
        limits["init_timeout"] = INIT_SECONDS
    if "finish_timeout" in wandb.Settings.model_fields and "WANDB_FINISH_TIMEOUT" not in os.environ:
        limits["finish_timeout"] = FINISH_SECONDS
    run = wandb.init(
        project=os.environ.get("WANDB_PROJECT", "snakegym"),
        mode=mode,  # type: ignore[arg-type, unused-ignore]
        # Offline there is nothing to resume from: W&B would only say that it ignores this.
        resume="allow" if mode == "online" else None,
        settings=wandb.Settings(silent=True, console="off", disable_git=True, x_disable_stats=True, **limits),
        **arguments,
    )
    run.define_metric("timesteps")
    run.define_metric("*", step_metric="timesteps")
    return WandbTracker(run)


def _logged_in() -> bool:
    """Whether `wandb login` or WANDB_API_KEY left a key; W&B itself is asked, without network."""
    import wandb

    try:
        return bool(wandb.login(prompt=False, verify=False))
    except Exception:  # a broken set-up is as good as none
        return False


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)
