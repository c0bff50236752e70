"""Whether there is a Ray at an address, found out within seconds: `ray.init` takes minutes to give up."""

from __future__ import annotations

import contextlib
import os
import re
import socket

from snakegym.errors import SnakegymError

WITHIN_S = 3.0
ADDRESS = re.compile(r"(?:ray://)?(?P<host>\[[0-9a-fA-F:.%]+\]|[^\s:/\[\]]+):(?P<port>\d{1,5})")
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\4" + bytes(5)
"""With this a client of gRPC, which Ray speaks, begins; a server answers with settings of its own at once."""


def check_address(address: str) -> None:
    """Raise SnakegymError if there is certainly no Ray at this address."""
    if address == "local":
        return
    named = found_by_itself() if address == "auto" else address
    if named is None:
        raise SnakegymError(
            "--ray: found no Ray on this machine for 'auto', expected one: `ray start --head` starts it, or "
            "say local, or host:port"
        )
    match = ADDRESS.fullmatch(named)
    if match is None or not 0 < int(match["port"]) < 2**16:
        raise SnakegymError(f"--ray: found '{address}', expected local, auto, host:port or ray://host:port")
    if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
        return  # it would not answer us
    why = _silence(match["host"].strip("[]"), int(match["port"]))
    if why:
        shown = f"'{address}'" + (f" ({named})" if named != address else "")
        raise SnakegymError(f"--ray: found no Ray at {shown}: {why}")


def found_by_itself() -> str | None:
    """The address that `auto` stands for; None if there is none."""
    if os.environ.get("RAY_ADDRESS"):
        return os.environ["RAY_ADDRESS"]
    with contextlib.suppress(ConnectionError, ValueError):
        from ray._private.services import canonicalize_bootstrap_address_or_die  # there is no public way

        return str(canonicalize_bootstrap_address_or_die("auto"))
    return None


def _silence(host: str, port: int) -> str | None:
    """Why nobody speaks gRPC there; None if somebody does."""
    try:
        with socket.create_connection((host, port), timeout=WITHIN_S) as line:
            line.sendall(HTTP2)
            answer = line.recv(9)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return None if answer[3:4] == b"\4" else "something else answers there"
