"""Who may come in: bearer tokens, of which the registry has the digests alone."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from sqlalchemy import select

from snakegym.errors import SnakegymError
from snakegym.training.cluster.registry.store import Registry
from snakegym.training.cluster.registry.tables import Token

Scope = Literal["all", "read", "node"]
"""`all`: whatever there is; `read`: look, change nothing; `node`: register a node and tell of it."""
OPERATOR = "operator"
"""The name of the token in the file."""
LENGTH = 32
"""Random bytes of a token."""


@dataclass(frozen=True)
class Bearer:
    """Who has a token."""

    name: str
    scope: Scope
    expires: float | None
    """Seconds since 1970; None: never."""


class Tokens:
    """The tokens of a registry, kept in memory: no request waits for the database.

    Args:
        registry: where their digests are; nobody else writes them.
        now: seconds since 1970.
    """

    def __init__(self, registry: Registry, now: Callable[[], float] = time.time) -> None:
        self._registry, self._now = registry, now
        with registry.reading() as session:
            rows = session.scalars(select(Token)).all()
        self._bearers = {row.digest: _bearer(row) for row in rows}

    def bearer(self, token: str) -> Bearer | None:
        """Whose it is; None if it is nobody's, or expired."""
        found = self._bearers.get(_digest(token))
        expired = found is not None and found.expires is not None and found.expires <= self._now()
        return None if expired else found

    def issue(self, name: str, scope: Scope, days: float | None = None, replace: bool = False) -> str:
        """A new token.

        Args:
            name: of its bearer.
            scope: what it is good for.
            days: after which it expires; None: never.
            replace: one of that name that is there, which is good no more.

        Raises:
            SnakegymError: there is one of that name.
        """
        token, now = secrets.token_urlsafe(LENGTH), self._now()
        expires = None if days is None else now + 86400 * days
        row = Token(name=name, digest=_digest(token), scope=scope, created=now, expires=expires)
        with self._registry.writing() as session:
            known = session.get(Token, name)
            if known is not None and not replace:
                raise SnakegymError(f"token '{name}': is there already")
            if known is not None:
                session.delete(known)
                session.flush()
            session.add(row)
        self._forget(name)
        self._bearers[row.digest] = _bearer(row)
        return token

    def revoke(self, name: str) -> bool:
        """Whether there was one of that name; it is good no more."""
        with self._registry.writing() as session:
            row = session.get(Token, name)
            if row is not None:
                session.delete(row)
        self._forget(name)
        return row is not None

    def listing(self) -> list[Bearer]:
        """By name."""
        return sorted(self._bearers.values(), key=lambda bearer: bearer.name)

    def _forget(self, name: str) -> None:
        self._bearers = {digest: one for digest, one in self._bearers.items() if one.name != name}


def operator_token(tokens: Tokens, path: Path) -> str:
    """The token in that file; a new one, which its owner alone can read, where there is none that is good.

    Raises:
        SnakegymError: the file cannot be read or written.
    """
    try:
        if path.exists():
            kept = path.read_text(encoding="ascii").strip()
            if tokens.bearer(kept) is not None:
                return kept
            path.unlink()
        token = tokens.issue(OPERATOR, "all", replace=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(f"{token}\n")
        return token
    except (OSError, UnicodeDecodeError) as error:
        raise SnakegymError(f"{path}: cannot keep the token there: {error}") from None


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def _bearer(row: Token) -> Bearer:
    if row.scope not in get_args(Scope):
        raise SnakegymError(
            f"token '{row.name}': found scope {row.scope!r}, expected one of {get_args(Scope)}"
        )
    return Bearer(row.name, row.scope, row.expires)  # type: ignore[arg-type]
