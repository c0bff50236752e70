"""Finished episodes of an evaluation under way, kept against interruptions."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from training.episodes import EpisodeRecord
from training.runfolder import write_text
from training.workers import Task


class PartialResults:
    """A file of lines: what the evaluation is, then one finished episode a line.

    What another evaluation left (another header: arguments, scenario, weights, version) is
    dropped; so is a last line that a kill cut short.

    Args:
        path: of the file; created if missing.
        header: what the evaluation is, as plain JSON data.
    """

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self._path = path
        self.records: dict[Task, EpisodeRecord] = {}
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
        if lines and _parse(lines[0]) == header:
            for line in lines[1:]:
                row = _parse(line)
                if row is not None:
                    self.records[Task(row["scheduler"], row["episode"])] = row["record"]
        rows = [self._row(task, record) for task, record in self.records.items()]
        write_text(path, "".join(line + "\n" for line in (json.dumps(header), *rows)))

    def add(self, task: Task, record: EpisodeRecord) -> None:
        """Keep a finished episode; it is on the disk when this returns."""
        self.records[task] = record
        with self._path.open("a", encoding="utf-8") as file:
            file.write(self._row(task, record) + "\n")
            file.flush()
            os.fsync(file.fileno())

    @staticmethod
    def _row(task: Task, record: EpisodeRecord) -> str:
        return json.dumps({"scheduler": task.scheduler, "episode": task.episode, "record": record})


def _parse(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
