"""The shortest training, and what it leaves."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def train(snakegym: Run, tiny: str, short: dict[str, object]) -> Run:
    """The shortest training, in the folder `run`."""

    def run(*more: object, **changed: object) -> tuple[int, str, str]:
        given = {f"--{k.replace('_', '-')}": v for k, v in changed.items()}
        options = short | {"--scenario": tiny} | given
        flat = [part for option in options.items() for part in option]
        return snakegym("train", "--out", "run", *flat, *more)

    return run


@pytest.fixture
def rows() -> Callable[..., list[dict[str, str]]]:
    """Rows of progress.csv, or of another table in a run folder."""

    def read(folder: Path, name: str = "progress.csv") -> list[dict[str, str]]:
        with (folder / name).open() as file:
            return list(csv.DictReader(file))

    return read


@pytest.fixture
def contents() -> Callable[[Path], dict[str, bytes]]:
    """All files below a folder."""

    def read(folder: Path) -> dict[str, bytes]:
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    return read
