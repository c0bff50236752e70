"""The cluster of a provider: one that is there, or one of its own, found again after a kill."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from pathlib import Path

import psutil

from snakegym.documents import parse_json
from snakegym.errors import SnakegymError
from snakegym.training.cluster.hosting import Joining
from snakegym.training.cluster.onray.session import start_head, use_token
from snakegym.training.pool.address import check_address
from snakegym.training.runs.folder import make_folder, write_text

OWN = "start"
"""The address that stands for a cluster of the provider's own."""
FILE = "ray.json"


class Head:
    """Where the head is, and what it takes to join.

    One that was started lives on when this program is killed, with the nodes that have joined it, and is
    found again by what stands in the folder; `end` ends it.

    Args:
        folder: of the provider; readable by its owner alone.
        address: of a cluster, or `start`.
        ip: to be bound to where it is started.

    Raises:
        SnakegymError: it cannot be started.
    """

    def __init__(self, folder: Path, address: str, ip: str) -> None:
        self._file, self._pid = folder / FILE, 0
        if address != OWN:
            self.joining = Joining(address, os.environ.get("RAY_AUTH_TOKEN", ""))
            return
        make_folder(folder)
        found = self._found()
        if found is None:
            token = use_token()
            where, child = start_head(ip)
            self._pid = child.pid
            self.joining = Joining(where, token)
            self._keep()
        else:
            self.joining = found
            use_token(found.token)

    def end(self) -> None:
        """End it, if it is of the provider's own."""
        if self._pid and self._is_ours():
            with suppress(ProcessLookupError):
                os.killpg(self._pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(self._pid, 0)
            self._file.unlink(missing_ok=True)

    def _found(self) -> Joining | None:
        """That of an earlier program, if it still lives."""
        try:
            kept = parse_json(self._file.read_text(encoding="utf-8"), FILE)
            self._pid, found = int(kept["pid"]), Joining(kept["address"], kept["token"])
            check_address(found.address)
        except (OSError, SnakegymError, LookupError, ValueError):
            self._pid = 0
            return None
        self.joining = found
        return found if self._is_ours() else None

    def _is_ours(self) -> bool:
        port = self.joining.address.rpartition(":")[2]
        try:
            return any(port in word for word in psutil.Process(self._pid).cmdline())
        except psutil.Error:
            return False

    def _keep(self) -> None:
        joining = {"pid": self._pid, "address": self.joining.address, "token": self.joining.token}
        self._file.touch(mode=0o600)
        write_text(self._file, json.dumps(joining))
        self._file.chmod(0o600)
