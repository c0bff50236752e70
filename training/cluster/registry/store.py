"""The database of a provider: a file of SQLite, or PostgreSQL by its URL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session

from snakegym.errors import SnakegymError, in_one_line
from snakegym.training.cluster.registry.tables import VERSION, Base, Setting


class Registry:
    """A database that is written by one program at a time; its threads take turns.

    Args:
        url: as SQLAlchemy takes it: `sqlite:///FILE`, `postgresql+psycopg://…`. Tables are made if need be.

    Raises:
        SnakegymError: no such database, or one that another version has written.
    """

    def __init__(self, url: str) -> None:
        self._lock = threading.Lock()
        try:
            parsed = make_url(url)
            options: dict[str, Any] = {} if parsed.get_backend_name() == "sqlite" else {"pool_pre_ping": True}
            self._engine = create_engine(parsed, **options)
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise SnakegymError(
                f"--database: {_brief(error)}, expected a URL as SQLAlchemy takes it"
            ) from None
        self.name = parsed.render_as_string(hide_password=True)
        if parsed.get_backend_name() == "sqlite":
            event.listen(self._engine, "connect", _as_we_need)
        try:
            Base.metadata.create_all(self._engine)
            with self.writing() as session:
                version = session.get(Setting, "version")
                if version is None:
                    version = Setting(name="version", value=VERSION)
                    session.add(version)
                found = version.value
        except SQLAlchemyError as error:
            raise SnakegymError(f"{self.name}: cannot use this database: {_brief(error)}") from None
        if found != VERSION:
            raise SnakegymError(f"{self.name}: found a registry of version {found}, expected {VERSION}")

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that changes nothing."""
        with Session(self._engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session that is committed when the block ends well, and else leaves no trace."""
        with self._lock, Session(self._engine, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()


def _as_we_need(connection: Any, _: Any) -> None:
    """Readers do not wait for the writer, a power cut loses no order, and references are checked."""
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "busy_timeout=10000"):
        connection.execute(f"PRAGMA {pragma}").close()


def _brief(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return in_one_line(cause)[:200]
