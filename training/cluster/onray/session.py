"""Raylets of this machine: the head of a cluster, and one for each node, told apart by a label."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final

from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined, unused-ignore]

from snakegym.errors import SnakegymError

LABEL: Final = "snakegym-node"
"""Of a raylet: the name of the node that it is for."""
NAMESPACE: Final = "snakegym"
NODE: Final = "SNAKEGYM_NODE"
"""Variable of the environment of a node's raylet: JSON, what the node is (see `Offer`)."""
LOOPBACK: Final = "127.0.0.2"
"""For this machine alone; not 127.0.0.1, which Ray takes for the address that others know."""
STORE_BYTES: Final = 100 * 2**20
"""Object store of a raylet, at least; layers pass through it."""
START_S: Final = 60.0
TOO_SLOW: Final = "timed out during startup"
"""Says a raylet that its own parts kept waiting for 30 s, as they do on a busy machine: worth another try."""
TRIES: Final = 4
GRACE_S: Final = 3.0
INLINE_BYTES: Final = 4096
"""Results up to this come to the controller itself; what is larger stays where it is until it is fetched."""


def use_token(token: str | None = None) -> str:
    """Have this program, and what it starts, use that token with Ray; None: what it uses, or a new one.

    To be called before it is connected to any cluster.
    """
    token = token or os.environ.get("RAY_AUTH_TOKEN") or secrets.token_hex(32)
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
    # Ray has read these variables when it was imported; there is no public way to have it read them again.
    AuthenticationTokenLoader.instance().reset_cache()
    Config.initialize("")
    return token


def environment(**more: str) -> dict[str, str]:
    """Of Ray's processes."""
    use_token()
    return {
        **os.environ,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_max_direct_call_object_size": str(INLINE_BYTES),
        "RAY_task_events_report_interval_ms": "0",  # the head would remember 100,000 calls for a dashboard
        "OMP_NUM_THREADS": "1",
        **more,
    }


def start_head(
    ip: str = LOOPBACK, port: int = 0, folder: Path | None = None
) -> tuple[str, subprocess.Popen[bytes]]:
    """Start the head of a cluster as a child; its address and the child, to be ended with `end`.

    Raises:
        SnakegymError: it does not start.
    """
    options = [
        "--head",
        f"--port={port or free_port(ip)}",
        f"--ray-client-server-port={free_port(ip)}",
        "--include-dashboard=false",
        "--num-cpus=2",
    ]
    if folder is not None:
        options.append(f"--temp-dir={folder}")
    child = _ray(ip, options, environment())
    return f"{ip}:{options[1].partition('=')[2]}", child


def start_node(
    address: str, offer: Mapping[str, Any], ip: str = LOOPBACK, within: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """Start the raylet of a node as a child, to be ended with `end`.

    Args:
        address: of the head.
        offer: JSON: `name`, `data` (a folder), of `Means` what is not to be measured, and `share` (a file,
            see `stated_share`) where free compute is not; with `throttle` (see `Node`) it sets the pace, too.
        ip: of this machine, as the others reach it.
        within: words before the command that starts it, which become it (as `nsenter` does).

    Raises:
        SnakegymError: it does not join.
    """
    labels = f"--labels={LABEL}={offer['name']}"
    options = [f"--address={address}", "--num-cpus=1", labels]
    return _ray(ip, options, environment(**{NODE: json.dumps(offer)}), within)


def end(child: subprocess.Popen[bytes]) -> None:
    """End a raylet and all that it has started."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_S)
    kill(child)


def kill(child: subprocess.Popen[bytes]) -> None:
    """As a power cut does: everything at once, and nobody is told."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def free_port(ip: str) -> int:
    """One that nobody listens at now."""
    with socket.socket() as found:
        found.bind((ip, 0))
        port: int = found.getsockname()[1]
        return port


def _ray(
    ip: str, options: list[str], variables: dict[str, str], within: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    command = [*within, sys.executable, "-m", "ray.scripts.scripts", "start", f"--node-ip-address={ip}"]
    command += ["--block", *options, f"--object-store-memory={STORE_BYTES}", "--disable-usage-stats"]
    command += [
        "--min-worker-port=0",
        "--max-worker-port=0",
    ]  # whichever are free: several raylets to a machine
    for _ in range(TRIES):
        found = _begun(command, variables)
        if not isinstance(found, str):
            return found
        if TOO_SLOW not in found:
            break
    raise SnakegymError(f"Ray: found none at {options[0]} that can be used, expected one: {found}")


def _begun(command: list[str], variables: dict[str, str]) -> subprocess.Popen[bytes] | str:
    """The child, or what it said when it ended."""
    with TemporaryFile("w+") as said:  # no pipe: a child may live longer than we do
        child = subprocess.Popen(
            command,
            env=variables,
            stdout=said,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        until = time.monotonic() + START_S
        while time.monotonic() < until and child.poll() is None:
            if "Ray runtime started" in _read(said):
                return child
            time.sleep(0.05)
        kill(child)
        return re.sub(r"\x1b\[[0-9;]*m", "", " ".join(_read(said).split()))[-300:]


def _read(said: IO[str]) -> str:
    said.seek(0)
    return said.read()
