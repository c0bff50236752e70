"""A namespace for each node, on a bridge in one of its own: nothing of this machine's network changes.

Every name begins with `PREFIX`, so that whatever an earlier program left can be found and removed. Addresses
are those of namespaces that lead nowhere else.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from snakegym.errors import SnakegymError
from snakegym.training.cluster.fidelity import quota

PREFIX: Final = "snakegym-fid-"
HUB: Final = f"{PREFIX}hub"
"""Namespace of the bridge, Ray's head and the controllers: what would be the network's side."""
HUB_IP: Final = "10.213.0.1"
DEVICE: Final = "eth0"
"""A node's end of its link."""
HOME: Final = Path("/run/snakegym-fidelity")
"""Where everything lies that is of no use afterwards; root's alone."""
LOCK: Final = Path("/run/snakegym-fidelity.lock")
MOST_NODES: Final = 64
KILL_S: Final = 10.0
TOOLS: Final = ("ip", "tc", "nsenter")


def namespace(node: int) -> str:
    """Of a node."""
    return f"{PREFIX}{node}"


def ip_of(node: int) -> str:
    """Its address in there."""
    return f"10.213.0.{node + 2}"


def port_of(node: int) -> str:
    """The hub's end of its link."""
    return f"port{node}"


def within(name: str) -> list[str]:
    """Words before a command that is to run in that namespace; `ip netns exec` would hide /sys from it."""
    return ["nsenter", f"--net=/run/netns/{name}"]


def check_machine() -> None:
    """Raise SnakegymError where this cannot be done: no root, no ip, tc or nsenter."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing or not hasattr(os, "geteuid") or os.geteuid() != 0:
        found = f"no {missing[0]}" if missing else "another user"
        raise SnakegymError(
            f"fidelity: found {found}, expected root on Linux, with ip and tc of iproute2 and nsenter, "
            "as it makes network namespaces"
        )


@contextmanager
def laboratory(nodes: int) -> Iterator[None]:
    """Namespaces of a hub and of nodes, with links that are not shaped yet; gone when the block ends.

    What an earlier program left is removed first.

    Raises:
        SnakegymError: another one is at work, or namespaces cannot be made.
    """
    with _alone():
        remove()
        try:
            _build(nodes)
            yield
        finally:
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
            try:
                remove()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)


def left() -> list[str]:
    """Namespaces of ours that are there."""
    return sorted(line.split()[0] for line in _ip("netns", "list").splitlines() if line.startswith(PREFIX))


def remove(spare: int = 0) -> None:
    """End all that runs in our namespaces, but for the process `spare`, and remove all that is ours."""
    until = time.monotonic() + KILL_S
    while (found := _inhabitants() - {spare}) and time.monotonic() < until:
        for process in found:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.05)
    for name in left():
        _ip("netns", "del", name)
    quota.remove_groups()
    shutil.rmtree(HOME, ignore_errors=True)


def sent_and_received(node: int) -> tuple[int, int]:
    """Bytes on the wire that the node has sent, and received, headers included."""
    folder = f"/sys/class/net/{port_of(node)}/statistics"
    script = f"cat {folder}/rx_bytes {folder}/tx_bytes"
    up, down = _run(["ip", "netns", "exec", HUB, "sh", "-c", script]).split()
    return int(up), int(down)


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the machine against another such program. Who is to remove what is left inherits the hold."""
    with LOCK.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SnakegymError("fidelity: another one is at work on this machine, expected none") from None
        os.set_inheritable(file.fileno(), True)
        yield


def _build(nodes: int) -> None:
    HOME.mkdir(mode=0o700)
    for name in (HUB, *map(namespace, range(nodes))):
        _ip("netns", "add", name)
        _ip("-n", name, "link", "set", "lo", "up")
    _ip("-n", HUB, "link", "add", "bridge", "type", "bridge")
    for node in range(nodes):
        name, port = namespace(node), port_of(node)
        _ip("-n", HUB, "link", "add", port, "type", "veth", "peer", "name", DEVICE, "netns", name)
        # tbf would cut the large packets that TCP hands to a device anew, behind its back: it then takes the
        # queue for empty, and fills it until packets are lost.
        _ip("-n", HUB, "link", "set", port, "gso_max_segs", "1", "master", "bridge", "up")
        _ip("-n", name, "link", "set", DEVICE, "gso_max_segs", "1")
        _ip("-n", name, "addr", "add", f"{ip_of(node)}/24", "dev", DEVICE)
        _ip("-n", name, "link", "set", DEVICE, "up")
    _ip("-n", HUB, "link", "set", "bridge", "gso_max_segs", "1", "up")
    _ip("-n", HUB, "addr", "add", f"{HUB_IP}/24", "dev", "bridge")


def _inhabitants() -> set[int]:
    """Processes in our namespaces."""
    return {int(word) for name in left() for word in _ip("netns", "pids", name).split()}


def _ip(*words: str) -> str:
    return _run(["ip", *words])


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join(done.stderr.split())[:200]
        raise SnakegymError(
            f"{' '.join(command[:6])}: {said}, expected network namespaces to be possible here"
        )
    return done.stdout


if __name__ == "__main__":
    remove(spare=os.getpid())
