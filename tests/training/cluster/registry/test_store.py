"""The database: made once, read again, never guessed."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest

from snakegym.errors import SnakegymError
from snakegym.training.cluster.registry.store import Registry
from snakegym.training.cluster.registry.tables import Service


def test_what_was_written_is_there(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'registry.db'}"
    first = Registry(url)
    with first.writing() as session:
        session.add(Service(name="a", document={"x": [1]}, created=1.5))
    with suppress(ZeroDivisionError), first.writing() as session:
        session.add(Service(name="b", document={}, created=1.0))
        session.flush()
        raise ZeroDivisionError
    first.close()
    with Registry(url).reading() as session:
        found = session.get_one(Service, "a")
        assert (found.document, found.created) == ({"x": [1]}, 1.5)
        assert session.get(Service, "b") is None


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("nonsense", "--database: Could not parse"),
        ("nosql://x", "--database: "),
        ("sqlite:////no/such/folder/x.db", "cannot use this database: unable to open"),
    ],
)
def test_bad_addresses(url: str, named: str) -> None:
    with pytest.raises(SnakegymError) as refused:
        Registry(url)
    assert named in str(refused.value)
    assert "\n" not in str(refused.value)


def test_files_that_are_no_registry(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_text("something else " * 100)
    with pytest.raises(SnakegymError, match="file is not a database"):
        Registry(f"sqlite:///{path}")
    Registry(f"sqlite:///{tmp_path / 'old.db'}").close()
    with sqlite3.connect(tmp_path / "old.db") as connection:
        connection.execute("UPDATE settings SET value = '0'")
    with pytest.raises(SnakegymError, match="found a registry of version 0, expected 1"):
        Registry(f"sqlite:///{tmp_path / 'old.db'}")


def test_passwords_are_not_shown(tmp_path: Path) -> None:
    with pytest.raises(SnakegymError) as refused:
        Registry("postgresql://user:secret@localhost:1/none")
    assert "secret" not in str(refused.value)
