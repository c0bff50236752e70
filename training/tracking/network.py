"""Whether a server is there still. W&B itself tries for ever, without a word."""

from __future__ import annotations

import socket
import threading
import time
from urllib.parse import urlsplit
from urllib.request import getproxies

EVERY_S = 10.0
"""Between two looks."""
WITHIN_S = 5.0
"""For the server to take up a connection."""


class Watch:
    """Looks now and then, in a thread of its own, whether a server takes up connections.

    Behind a proxy it never looks: the proxy takes up all.

    Args:
        url: of the server.
        every_s: seconds between two looks.
    """

    told = False
    """Whether `news` has said that it does not."""

    def __init__(self, url: str, every_s: float = EVERY_S) -> None:
        parts = urlsplit(url)
        self._place = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        self._every_s = every_s
        self._looked_at = time.monotonic()
        self._fault: str | None = None

    def news(self) -> str | None:
        """What is wrong, once; starts a new look if one is due, and never waits for it."""
        if self.told:
            return None
        if self._fault is not None:
            self.told = True
            return self._fault
        if time.monotonic() - self._looked_at >= self._every_s and not getproxies():
            self._looked_at = time.monotonic()
            threading.Thread(target=self._look, daemon=True).start()
        return None

    def _look(self) -> None:
        try:
            socket.create_connection(self._place, WITHIN_S).close()
        except OSError as error:
            self._fault = error.strerror or str(error) or type(error).__name__
