"""What a process keeps on the disk: checkpoint, events and status, so that a kill costs one hop at most.

A checkpoint holds the events of its hop, too: they are appended to the file of events after it was written,
or, if that was interrupted, when the process is taken up again. So no hop is told twice, and none forgotten.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from snakegym.control.progress.checkpoint import ProcessCheckpoint
from snakegym.errors import SnakegymError
from snakegym.training.cluster.hosting import Event
from snakegym.training.runs.folder import append_text, make_folder, replacing, write_text

CHECKPOINT, EVENTS, STATUS = "checkpoint.pt", "events.jsonl", "status.json"


class Keeper:
    """The folder of one process, written by whoever runs it.

    Args:
        folder: is made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self._folder = folder
        self._told, self._pending = 0, []  # type: tuple[int, list[Event]]

    def tell(self, event: Event) -> None:
        """Note an event; it is on the disk after the next `save`."""
        self._pending.append({"number": self._told + len(self._pending) + 1, **event})

    def save(self, checkpoint: ProcessCheckpoint, more: Any, status: dict[str, Any]) -> None:
        """Keep where the process is, then tell the events since the last time.

        Args:
            checkpoint: of the controller.
            more: JSON data beside it.
            status: what a look at the process shows.
        """
        kept = {"journal": checkpoint.journal, "more": more, "told": self._told, "events": self._pending}
        with replacing(self._folder / CHECKPOINT) as temporary:
            torch.save(
                {"layers": [dict(layer) for layer in checkpoint.layers], "text": json.dumps(kept)}, temporary
            )
        write_text(self._folder / STATUS, json.dumps(status))  # whoever sees the events sees no older status
        self._append()

    def finish(self, status: dict[str, Any] | None = None) -> None:
        """Tell the last events of a process that needs no checkpoint any more; None: it stands as it did."""
        if status is not None:
            write_text(self._folder / STATUS, json.dumps(status))
        self._append()

    def take_up(self) -> tuple[ProcessCheckpoint, Any] | None:
        """What was saved last; None if nothing was. Raises SnakegymError for a damaged checkpoint."""
        path = self._folder / CHECKPOINT
        if not path.exists():
            self._cut(0)
            return None
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
            kept = json.loads(content["text"])  # parse_json( refuses infinity, which a journal may hold
            checkpoint = ProcessCheckpoint(tuple(content["layers"]), kept["journal"])
            self._cut(kept["told"])
            self._pending = kept["events"]
            self._append()
            return checkpoint, kept["more"]
        except Exception as error:  # whatever damaged bytes lead torch to
            raise SnakegymError(
                f"{path}: found {type(error).__name__}, expected a checkpoint of this process"
            ) from None

    def _append(self) -> None:
        append_text(self._folder / EVENTS, "".join(f"{json.dumps(e)}\n" for e in self._pending))
        self._told, self._pending = self._told + len(self._pending), []

    def _cut(self, told: int) -> None:
        """Forget what was appended after that many events: it was of a checkpoint that is told again."""
        path = self._folder / EVENTS
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        with replacing(path) as temporary:
            temporary.write_bytes(b"".join(lines[:told]))
        self._told = told


class Log:
    """The events of a process, read as they come.

    Args:
        folder: of the process.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / EVENTS
        self._events: list[Event] = []
        self._read = 0

    def since(self, number: int) -> list[Event]:
        """Those with a higher number that are written completely.

        What is cut off when a process is taken up comes again byte by byte, so what was read stays right.
        """
        with suppress(FileNotFoundError), self._path.open("rb") as file:
            file.seek(self._read)
            new = file.read()
            whole = new[: new.rfind(b"\n") + 1]
            self._read += len(whole)
            self._events += [json.loads(line) for line in whole.splitlines()]
        return self._events[number:]

    @property
    def over(self) -> str:
        """`ended` or `failed` if it is; else empty."""
        kind = self.since(0)[-1]["kind"] if self.since(0) else ""
        return kind if kind in ("ended", "failed") else ""


def read_status(folder: Path) -> dict[str, Any]:
    """What was shown last; empty before that."""
    try:
        found: dict[str, Any] = json.loads((folder / STATUS).read_text(encoding="utf-8"))
        return found
    except FileNotFoundError:
        return {}
