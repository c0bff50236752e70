import json
from pathlib import Path

import pytest
from typing_extensions import TypedDict

from snakegym.errors import SnakegymError
from snakegym.training.runs.partial import PartialResults, Task

HEADER = {"snakegym": "1", "request": {"seed": 0}}


class Record(TypedDict):
    accuracy: float
    hops: list[int]


GOOD: Record = {"accuracy": 0.1, "hops": [1, 2]}


def opened(path: Path, header: object = HEADER) -> PartialResults[Record]:
    return PartialResults(path, header, Record)  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with two finished tasks."""
    path = tmp_path / "partial.jsonl"
    kept = opened(path)
    kept.add(Task("a", 0), GOOD)
    kept.add(Task("a", 1), GOOD)
    return path


def test_what_is_finished_is_read_back(path: Path) -> None:
    assert opened(path).records == {Task("a", 0): GOOD, Task("a", 1): GOOD}


def test_what_another_evaluation_left_is_dropped(path: Path) -> None:
    assert opened(path, {**HEADER, "snakegym": "2"}).records == {}


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "5",
        "null",
        "{}",
        '{"scheduler": "a", "episode": 0}',
        '{"scheduler": "a", "episode": 0, "record": null}',
        '{"scheduler": "a", "episode": "0", "record": {"accuracy": 0.5, "hops": []}}',
        '{"scheduler": "a", "episode": 0, "record": {"accuracy": "high", "hops": []}}',
        '{"scheduler": ["a"], "episode": 0, "record": {"accuracy": 0.5, "hops": []}}',
        '{"scheduler": "a", "episode": 0, "record": {"accuracy": 0.5',
        '{"scheduler": "b", "scheduler": "a", "episode": 0, "record": {"accuracy": 0.5, "hops": []}}',
        '{"scheduler": "a", "episode": 0, "record": {"accuracy": 0.5, "accuracy": 0.1, "hops": []}}',
        "\x00\x00\x00",
    ],
)
def test_a_line_of_another_shape_is_done_again(path: Path, line: str) -> None:
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], line, lines[2]]) + "\n")
    assert opened(path).records == {Task("a", 1): GOOD}
    header, *rows = path.read_text().splitlines()
    assert json.loads(header) == HEADER
    assert len(rows) == 1, "what is of no use is gone"


TWICE = '{"snakegym": "2", "snakegym": "1", "request": {"seed": 0}}'


@pytest.mark.parametrize("header", ["[]", "5", "{", "", TWICE])
def test_a_file_without_our_header_is_dropped(path: Path, header: str) -> None:
    path.write_text("\n".join([header, *path.read_text().splitlines()[1:]]))
    assert opened(path).records == {}


def test_what_cannot_be_written_is_an_error_of_ours(path: Path) -> None:
    kept = opened(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(SnakegymError, match=r"partial\.jsonl: cannot write this file: Is a directory"):
        kept.add(Task("a", 2), GOOD)
    assert Task("a", 2) not in kept.records
    with pytest.raises(SnakegymError, match=r"partial\.jsonl: cannot read this file: Is a directory"):
        opened(path)
