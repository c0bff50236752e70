"""TensorBoard, if it is there: event files in the run folder. The one place that imports it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from snakegym.errors import in_one_line
from snakegym.training.tracking.guarded import Guarded, warn
from snakegym.training.tracking.tracker import About, NoTracker, Tracker

FOLDER = "tensorboard"
"""Of the event files, in the run folder: `tensorboard --logdir` takes it, or any folder above it."""
ABSENT = (
    "tensorboard is not installed, so nothing is logged to it: pip install 'snakegym[tensorboard]' adds it"
)


def start_tensorboard(about: About) -> Tracker:
    """Begin an event file; a tracker that drops everything, after a warning, if that is impossible."""
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        warn(ABSENT)
        return NoTracker()
    try:
        return Guarded(TensorBoardTracker(about), "TensorBoard")
    except Exception as error:
        warn(f"TensorBoard cannot start, training goes on without it: {in_one_line(error)}")
        return NoTracker()


class TensorBoardTracker:
    """One event file. Events are written one by one: PyTorch's `SummaryWriter` does so in a thread of its
    own, whose faults (a full disk) would be printed as tracebacks, late.

    Args:
        about: the run. Its config is shown as text, and its plain values under HPARAMS.

    Raises:
        OSError: of any method: the file cannot be written.
    """

    stop = False

    def __init__(self, about: About) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder = about.folder / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        self._config = about.config
        # TensorBoard reads files in the order of their names: those of a resumed run come later.
        path = folder / f"events.out.tfevents.{time.time():.6f}.{about.run_id}"
        self._file = path.open("xb")
        self._records = RecordWriter(self._file)
        self._timesteps: int | None = None
        self._write(file_version="brain.Event:2")
        labels = {name: value for name, value in vars(about.labels).items() if isinstance(value, str)}
        said = {"name": about.name, "job_type": about.job_type, "run_id": about.run_id, **labels}
        self._text("about", _code(said))
        self._text("config", _code(self._config))

    def log(self, metrics: Mapping[str, float], timesteps: int) -> None:
        """Scalars at this step; a resumed run takes the place of what an interrupted one has logged since."""
        from tensorboard.compat.proto.event_pb2 import SessionLog

        if self._timesteps is None and timesteps > 0:
            self._write(step=timesteps, session_log=SessionLog(status=SessionLog.START))
        self._timesteps = timesteps
        self._scalars(metrics, timesteps)

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """A text, with the table as Markdown."""
        lines = [columns, ["---"] * len(columns), *rows]
        self._text(name, "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines))

    def picture(self, name: str, path: Path, caption: str = "") -> None:
        """An image; a .gif moves there, too. Of an .mp4, which TensorBoard cannot show, its place."""
        from PIL import Image
        from tensorboard.compat.proto.summary_pb2 import Summary

        if path.suffix == ".mp4":
            return self._text(name, f"{path.resolve()} {caption}")
        with Image.open(path) as image:
            width, height = image.size
        shown = Summary.Image(
            width=width, height=height, colorspace=4, encoded_image_string=path.read_bytes()
        )
        self._write(summary=Summary(value=[Summary.Value(tag=name, image=shown)]))

    def model(self, name: str, files: Sequence[Path], about: Mapping[str, Any]) -> None:
        """A text that says where they lie: TensorBoard keeps no files."""
        self._text("model", _code({"name": name, **about, "files": [str(file.resolve()) for file in files]}))

    def finish(self, summary: Mapping[str, Any], exit_code: int = 0) -> None:
        """The final metrics as scalars, and beside the hyperparameters in the tab HPARAMS."""
        from torch.utils.tensorboard.summary import hparams

        final = {name: float(v) for name, v in summary.items() if isinstance(v, bool | int | float)}
        if final:
            self._scalars(final, self._timesteps or 0)
        plain = {name: v for name, v in self._config.items() if isinstance(v, bool | int | float | str)}
        for part in hparams(plain, final):  # type: ignore[no-untyped-call, unused-ignore]
            self._write(summary=part)
        self._file.close()

    def _scalars(self, values: Mapping[str, float], timesteps: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        tagged = [Summary.Value(tag=name, simple_value=float(value)) for name, value in values.items()]
        self._write(step=timesteps, summary=Summary(value=tagged))

    def _text(self, name: str, text: str) -> None:
        from torch.utils.tensorboard.summary import text as as_text

        self._write(summary=as_text(name, text))  # type: ignore[no-untyped-call, unused-ignore]

    def _write(self, **fields: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._records.write(Event(wall_time=time.time(), **fields).SerializeToString())
        self._records.flush()


def _code(data: Any) -> str:
    """As Markdown."""
    return f"```\n{json.dumps(data, indent=2, default=str)}\n```"


def _cell(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return " ".join(text.split()).replace("|", "\\|")
