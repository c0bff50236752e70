"""What a process keeps on the disk: checkpoint, events and status, so that a kill costs one hop at most.

A checkpoint holds the events of its hop, too: they are appended to the file of events after it was written,
or, if that was interrupted, when the process is taken up again. So no hop is told twice, and none forgotten.
Layers lie in files of their own, which it names: each version of a layer is written once. Those that no
checkpoint names any more, or not yet, are removed.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from snakegym.control.progress.checkpoint import ProcessCheckpoint
from snakegym.errors import SnakegymError
from snakegym.models.state import LayerState
from snakegym.models.store import Key
from snakegym.training.cluster.hosting import Event
from snakegym.training.runs.folder import append_text, make_folder, replacing, write_text

CHECKPOINT, EVENTS, STATUS = "checkpoint.json", "events.jsonl", "status.json"
LAYERS = "layers-{}.pt"


class Keeper:
    """The folder of one process, written by whoever runs it.

    Args:
        folder: is made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self._folder = folder
        self._told, self._pending = 0, []  # type: tuple[int, list[Event]]
        self._files: dict[str, list[Key]] = {}
        """What lies in each file of layers."""
        self._written = 0

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
        self._write_layers(checkpoint)
        needed = set(checkpoint.keys)
        files = {name: keys for name, keys in self._files.items() if not needed.isdisjoint(keys)}
        kept = {"journal": checkpoint.journal, "more": more, "told": self._told, "events": self._pending}
        write_text(self._folder / CHECKPOINT, json.dumps({**kept, "files": files}))
        self._drop(self._files.keys() - files.keys())
        self._files = files
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
            kept = json.loads(path.read_bytes())  # parse_json( refuses infinity, which a journal may hold
            checkpoint = self._read_layers(ProcessCheckpoint((), kept["journal"]), kept["files"])
            self._cut(kept["told"])
            self._pending = kept["events"]
            self._append()
            return checkpoint, kept["more"]
        except Exception as error:  # whatever damaged bytes lead torch to
            raise SnakegymError(
                f"{path}: found {type(error).__name__}, expected a checkpoint of this process"
            ) from None

    def _write_layers(self, checkpoint: ProcessCheckpoint) -> None:
        """Those that are not on the disk yet, in a new file."""
        there = {key for keys in self._files.values() for key in keys}
        pairs = zip(checkpoint.keys, checkpoint.layers, strict=True)
        new = {key: dict(layer) for key, layer in pairs if key not in there}
        if new:
            self._written += 1
            name = LAYERS.format(self._written)
            with replacing(self._folder / name) as temporary:
                torch.save([*new.values()], temporary)
            self._files[name] = [*new]

    def _read_layers(
        self, checkpoint: ProcessCheckpoint, files: dict[str, list[list[int]]]
    ) -> ProcessCheckpoint:
        found: dict[Key, LayerState] = {}
        self._files = {name: [(layer, version) for layer, version in keys] for name, keys in files.items()}
        for name, keys in self._files.items():
            layers = torch.load(self._folder / name, map_location="cpu", weights_only=True)
            found |= zip(keys, layers, strict=True)
        there = {file.name for file in self._folder.glob(LAYERS.format("*"))}
        self._written = max(int(name.split("-")[1].split(".")[0]) for name in there)
        self._drop(there - self._files.keys())
        return ProcessCheckpoint(tuple(found[key] for key in checkpoint.keys), checkpoint.journal)

    def _drop(self, names: Iterable[str]) -> None:
        for name in names:
            (self._folder / name).unlink(missing_ok=True)

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
    """The events of a process, read as they come; where they lie is remembered, not what they say.

    Args:
        folder: of the process.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / EVENTS
        self._ends = array("Q", [0])
        """Bytes before the first event, and up to the end of each."""
        self._last = ""

    def __len__(self) -> int:
        """Events that are written completely."""
        new = self._read(self._ends[-1])
        for line in new:
            self._ends.append(self._ends[-1] + len(line))
        if new:
            self._last = json.loads(new[-1])["kind"]
        return len(self._ends) - 1

    def since(self, number: int) -> list[Event]:
        """Those with a higher number that are written completely.

        What is cut off when a process is taken up comes again byte by byte, so where it lies stays right.
        """
        n = len(self)
        return [] if number >= n else [json.loads(line) for line in self._read(self._ends[number])]

    @property
    def over(self) -> str:
        """`ended` or `failed` if it is; else empty."""
        return self._last if len(self) and self._last in ("ended", "failed") else ""

    def _read(self, start: int) -> list[bytes]:
        """The whole lines from there on."""
        with suppress(FileNotFoundError), self._path.open("rb") as file:
            file.seek(start)
            found = file.read()
            return found[: found.rfind(b"\n") + 1].splitlines(keepends=True)
        return []


def read_status(folder: Path) -> dict[str, Any]:
    """What was shown last; empty before that."""
    try:
        found: dict[str, Any] = json.loads((folder / STATUS).read_text(encoding="utf-8"))
        return found
    except FileNotFoundError:
        return {}
