"""What is finished of an evaluation or experiment under way, kept against interruptions."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from snakegym.training.runs.folder import write_text

Record = TypeVar("Record")


class Task(NamedTuple):
    """One scheduler (in an experiment: one way of training) on one episode."""

    scheduler: str
    episode: int


class PartialResults(Generic[Record]):
    """A file of lines: what the evaluation is, then one finished episode a line, as plain JSON data.

    What another evaluation left (another header: arguments, scenario, weights, version) is
    dropped; so is a last line that a kill cut short.

    Args:
        path: of the file; created if missing.
        header: what the evaluation is, as plain JSON data.
    """

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self._path = path
        self.records: dict[Task, Record] = {}
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
        if lines and _parse(lines[0]) == header:
            for line in lines[1:]:
                row = _parse(line)
                if row is not None:
                    self.records[Task(row["scheduler"], row["episode"])] = row["record"]
        rows = [self._row(task, record) for task, record in self.records.items()]
        write_text(path, "".join(line + "\n" for line in (json.dumps(header), *rows)))

    def add(self, task: Task, record: Record) -> None:
        """Keep a finished episode; it is on the disk when this returns."""
        self.records[task] = record
        with self._path.open("a", encoding="utf-8") as file:
            file.write(self._row(task, record) + "\n")
            file.flush()
            os.fsync(file.fileno())

    @staticmethod
    def _row(task: Task, record: Record) -> str:
        return json.dumps({"scheduler": task.scheduler, "episode": task.episode, "record": record})


def _parse(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
