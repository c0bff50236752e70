"""What is finished of an evaluation or experiment under way, kept against interruptions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from snakegym.documents import parse_json
from snakegym.errors import SnakegymError
from snakegym.training.runs.folder import append_text, read_lines, write_text

Record = TypeVar("Record")


class Task(NamedTuple):
    """One scheduler (in an experiment: one way of training) on one episode."""

    scheduler: str
    episode: int


class Row(BaseModel, Generic[Record]):
    """A finished task."""

    model_config = ConfigDict(strict=True, extra="forbid", arbitrary_types_allowed=True)

    scheduler: str
    episode: int
    record: Record


class PartialResults(Generic[Record]):
    """A file of lines: what the evaluation is, then one finished episode a line, as plain JSON data.

    What another evaluation left (another header: arguments, scenario, weights, version) is dropped, and
    so is every line that is none of ours: the last one that a kill cut short, or one of another shape.

    Args:
        path: of the file; created if missing.
        header: what the evaluation is, as plain JSON data.
        shape: of a record, as pydantic understands it.

    Raises:
        SnakegymError: the file cannot be read or written.
    """

    def __init__(self, path: Path, header: dict[str, Any], shape: type[Record]) -> None:
        self._path = path
        self._row: type[Row[Record]] = Row[shape]  # type: ignore[valid-type]
        self.records: dict[Task, Record] = {}
        lines = read_lines(path)
        if lines and _parse(lines[0]) == header:
            for line in lines[1:]:
                try:
                    parse_json(line, str(path), finite=False)  # pydantic takes a name that is given twice
                    row = self._row.model_validate_json(line)
                except (SnakegymError, ValidationError):
                    continue
                self.records[Task(row.scheduler, row.episode)] = row.record
        self._header = header
        self._write()

    def add(self, task: Task, record: Record) -> None:
        """Keep a finished episode on the disk. Raises SnakegymError if that cannot be written."""
        append_text(self._path, self._line(task, record))
        self.records[task] = record

    def sort(self, first: Sequence[Task]) -> None:
        """Bring the file into one order, however the tasks were finished: `first`, then all others."""
        order = dict.fromkeys([*first, *sorted(self.records)])
        self.records = {task: self.records[task] for task in order if task in self.records}
        self._write()

    def _write(self) -> None:
        rows = [self._line(task, record) for task, record in self.records.items()]
        write_text(self._path, "".join([json.dumps(self._header) + "\n", *rows]))

    def _line(self, task: Task, record: Record) -> str:
        row = self._row(scheduler=task.scheduler, episode=task.episode, record=record)
        return json.dumps(row.model_dump(mode="json")) + "\n"


def read_header(path: Path) -> Any:
    """What the evaluation is whose finished episodes are in that file; None if there is none."""
    lines = read_lines(path)
    return _parse(lines[0]) if lines else None


def _parse(line: str) -> Any:
    try:
        return parse_json(line, "the header", finite=False)
    except SnakegymError:
        return None
