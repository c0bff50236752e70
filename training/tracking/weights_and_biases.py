"""Weights & Biases, if it is there; what is tracked never depends on it. The one place that imports it."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from snakegym.errors import in_one_line
from snakegym.training.tracking.guarded import warn
from snakegym.training.tracking.network import Watch
from snakegym.training.tracking.options import WandbMode
from snakegym.training.tracking.tracker import About, NoTracker, Tracker

INIT_SECONDS = 15
"""W&B's own limit is 90 s, more than once; WANDB_INIT_TIMEOUT overrules this one."""
FINISH_SECONDS = 60
"""For what is still to be sent at the end; WANDB_FINISH_TIMEOUT overrules it. The rest stays on the disk."""
SPARE_SECONDS = 10
"""Beyond W&B's own limits, until it is left alone."""
SYNC = "wandb sync --no-skip-online RUN"
"""Sends what is kept of a run that began online; without the option W&B passes over it."""
ABSENT = "wandb is not installed, so nothing is logged to it: pip install 'snakegym[wandb]' adds it"


class WandbTracker:
    """One W&B run; a fault of W&B is reported once and then ignored.

    Args:
        run: of W&B.
        folder: where its files lie, for messages.
        watch: of the server; None: the run is kept offline.
        seconds: what may ask the server is waited for so long.
        stop: set by W&B when the run is to end.
    """

    def __init__(
        self, run: Any, folder: Path, watch: Watch | None, seconds: float, stop: threading.Event
    ) -> None:
        self._run, self._folder, self._watch, self._seconds = run, folder, watch, seconds
        self._faulty, self._stop = False, stop

    @property
    def stop(self) -> bool:
        """Whether somebody has asked W&B to stop the run."""
        return self._stop.is_set()

    def log(self, metrics: Mapping[str, float], timesteps: int) -> None:
        """Log under the step `timesteps`."""
        self._safely(lambda run: run.log({"timesteps": timesteps, **metrics}, step=timesteps))
        if self._run is not None and self._watch is not None and (fault := self._watch.news()):
            warn(
                f"Weights & Biases cannot be reached any more ({fault}), training goes on; all is kept in "
                f"{self._folder} and sent when it comes back, or by `{SYNC}`"
            )

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Log as a `wandb.Table`."""

        def add(run: Any) -> None:
            import wandb

            with _staging(self._folder):
                run.log({name: wandb.Table(columns=[*columns], data=[[*row] for row in rows])})

        self._patiently(add)

    def picture(self, name: str, path: Path, caption: str = "") -> None:
        """Log as a `wandb.Image`, or a `wandb.Video` where it moves."""

        def add(run: Any) -> None:
            import wandb

            moves = path.suffix in (".gif", ".mp4")
            shown: Any = (
                wandb.Video(str(path), caption=caption, format=path.suffix[1:])  # type: ignore[arg-type, unused-ignore]
                if moves
                else wandb.Image(str(path), caption=caption)
            )
            run.log({name: shown})

        self._patiently(add)

    def model(self, name: str, files: Sequence[Path], about: Mapping[str, Any]) -> None:
        """Log as an artifact of the type `model`."""

        def add(run: Any) -> None:
            import wandb

            with _staging(self._folder):
                artifact = wandb.Artifact(name, type="model", metadata=dict(about))
                for file in files:
                    artifact.add_file(str(file), skip_cache=True)
                run.log_artifact(artifact, aliases=["best"])

        self._patiently(add)

    def finish(self, summary: Mapping[str, Any], exit_code: int = 0) -> None:
        """Write the summary and wait until all is on disk (or sent)."""
        self._safely(lambda run: run.summary.update(dict(summary)))
        self._faulty, told = False, self._faulty
        self._patiently(lambda run: run.finish(exit_code=exit_code), told)
        self._run = None

    def _safely(self, action: Callable[[Any], None]) -> None:
        if self._run is None:
            return
        try:
            action(self._run)
        except Exception as error:  # tracking must never end a training run
            self._say(error, self._faulty)
            self._run = None

    def _patiently(self, action: Callable[[Any], None], told: bool = False) -> None:
        """As `_safely`, for what W&B may wait in for its server: not longer than its limit, and once.

        After that metrics are still logged, as W&B writes them to the disk first.
        """
        if self._watch is None or self._run is None:
            self._safely(action)
            return
        if self._faulty:
            return
        faults: list[Exception] = []

        def act(run: Any) -> None:
            try:
                action(run)
            except Exception as error:
                faults.append(error)

        thread = threading.Thread(target=act, args=(self._run,), daemon=True)
        thread.start()
        thread.join(self._seconds)
        if thread.is_alive():
            faults.append(TimeoutError(f"no answer within {self._seconds:g} s"))
        if faults:
            self._say(faults[0], told)
            self._faulty = True

    def _say(self, error: Exception, told: bool) -> None:
        if not told and (self._watch is None or not self._watch.told):
            warn(
                f"Weights & Biases failed, training goes on without it, what was logged is kept in "
                f"{self._folder} (`{SYNC}` sends it): {in_one_line(error)}"
            )


def wandb_mode(wanted: WandbMode) -> str:
    """The mode for W&B: what was asked for, else WANDB_MODE, else online only if logged in."""
    if wanted != "auto":
        return wanted
    if os.environ.get("WANDB_MODE"):
        return os.environ["WANDB_MODE"]
    return "online" if _logged_in() else "offline"


def is_online(wanted: WandbMode) -> bool:
    """Whether W&B is to be used with its server, and is there."""
    return is_installed() and wandb_mode(wanted) == "online"


def is_installed() -> bool:
    """Whether W&B's package is there."""
    return find_spec("wandb") is not None


def start_wandb(wanted: WandbMode, about: About) -> Tracker:
    """Begin a W&B run whose files go to wandb/ in its folder; a tracker that drops everything if impossible.

    Args:
        wanted: what the user asked for.
        about: the run.
    """
    if "disabled" in (wanted, os.environ.get("WANDB_MODE") if wanted == "auto" else None):
        return NoTracker()
    try:
        import wandb
    except ImportError:
        warn(ABSENT)
        return NoTracker()
    logging.getLogger("wandb").setLevel(logging.ERROR)
    try:
        # Otherwise it asks the server for the user's name, only to print it.
        wandb.setup(settings=wandb.Settings(silent=True))
        mode = wandb_mode(wanted)
        return _online(about) if mode == "online" else _init(mode, about)
    except Exception as error:
        warn(f"Weights & Biases cannot start, training goes on without it: {in_one_line(error)}")
        return NoTracker()


def _online(about: About) -> WandbTracker:
    """A run that is sent; where the server cannot be used, one that is kept, after a warning."""
    import wandb

    host = wandb.setup().settings.base_url
    seconds = int(os.environ.get("WANDB_INIT_TIMEOUT") or INIT_SECONDS)
    print(f"waiting for Weights & Biases at {host}, {seconds} s at most", file=sys.stderr, flush=True)
    try:
        # Asked before a run begins: one that W&B could not announce stays in the way of one offline.
        _within(seconds, lambda: wandb.Api(timeout=seconds))
    except Exception as error:
        warn(
            f"Weights & Biases cannot be used online, training goes on and is logged offline in "
            f"{about.folder / 'wandb'} (`wandb sync` sends it later): {in_one_line(error)}"
        )
        return _init("offline", about)
    return _init("online", about)


def _init(mode: str, about: About) -> WandbTracker:
    import wandb

    limit = int(os.environ.get("WANDB_FINISH_TIMEOUT") or FINISH_SECONDS)
    stop = threading.Event()
    settings: dict[str, Any] = {
        "stop_fn": stop.set,  # otherwise it interrupts the main thread
        "silent": True,
        "console": "off",
        "x_disable_stats": True,
        "finish_timeout": limit,
        "finish_timeout_raises": True,
    }
    if mode == "online" and "WANDB_INIT_TIMEOUT" not in os.environ:
        settings["init_timeout"] = INIT_SECONDS
    known = {name: value for name, value in settings.items() if name in wandb.Settings.model_fields}
    labels, given = about.labels, os.environ
    group = labels.wandb_group or given.get("WANDB_RUN_GROUP")
    tags = labels.wandb_tags or given.get("WANDB_TAGS") or ""
    run = wandb.init(
        dir=str(about.folder.resolve()),
        id=about.run_id,
        name=labels.wandb_name or given.get("WANDB_NAME") or about.name,
        config={**about.config, **({"group": group} if group else {})},
        project=labels.wandb_project or given.get("WANDB_PROJECT") or "snakegym",
        entity=labels.wandb_entity,
        group=group,
        job_type=labels.wandb_job_type or given.get("WANDB_JOB_TYPE") or about.job_type,
        notes=labels.wandb_notes or given.get("WANDB_NOTES"),
        tags=[tag.strip() for tag in tags.split(",") if tag.strip()],
        mode=mode,  # type: ignore[arg-type, unused-ignore]
        # Offline there is nothing to resume from: W&B would only say that it ignores this.
        resume="allow" if mode == "online" else None,
        settings=wandb.Settings(**known),
    )
    run.define_metric("timesteps")
    run.define_metric("*", step_metric="timesteps")
    watch = Watch(wandb.setup().settings.base_url) if mode == "online" else None
    return WandbTracker(run, about.folder / "wandb", watch, limit + SPARE_SECONDS, stop)


@contextmanager
def _staging(folder: Path) -> Iterator[None]:
    """W&B keeps files that are to be sent here, not in the home of the user, unless it is told where."""
    if "WANDB_DATA_DIR" in os.environ:
        yield
        return
    os.environ["WANDB_DATA_DIR"] = str(folder.resolve())
    try:
        yield
    finally:
        del os.environ["WANDB_DATA_DIR"]


def _within(seconds: float, ask: Callable[[], Any]) -> None:
    """Raise what `ask` raises, or TimeoutError where it has not ended in time."""
    faults: list[Exception] = []

    def act() -> None:
        try:
            ask()
        except Exception as error:
            faults.append(error)

    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"no answer within {seconds:g} s")
    if faults:
        raise faults[0]


def _logged_in() -> bool:
    """Whether `wandb login` or WANDB_API_KEY left a key; W&B itself is asked, without network."""
    import wandb

    try:
        return bool(wandb.login(prompt=False, verify=False))
    except Exception:  # a broken set-up is as good as none
        return False
