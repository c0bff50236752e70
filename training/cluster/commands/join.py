"""`snakegym node`: this machine offers itself to a provider."""

from __future__ import annotations

import hashlib
import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from snakegym.errors import SnakegymError
from snakegym.files import is_folder, user_path
from snakegym.training.cluster.commands.client import Client
from snakegym.training.cluster.commands.config import NodeConfig

LOOK_S = 0.2
JOIN_S = 90.0
AGAIN_S = 3.0
BACK_S = 300.0
"""For the cluster to come back, or the link to it, when it has gone."""


def join(config: NodeConfig) -> None:
    """Be a node until Ctrl-C or a signal to end; whenever the cluster has gone, join it anew.

    Raises:
        SnakegymError: it cannot join, or for five minutes not any more.
    """
    folder = user_path(config.data)
    if not is_folder(folder):
        raise SnakegymError(f"--data: {folder}: found no such folder, expected the node's samples in it")
    offer = {"name": config.name, "data": str(folder.absolute()), **_stated(config)}
    with Client(config) as client, _heeding_the_end():
        try:
            _serve_again_and_again(client, config, offer)
        except KeyboardInterrupt:
            print(f"node {config.name} leaves", flush=True)


def _serve_again_and_again(client: Client, config: NodeConfig, offer: dict[str, Any]) -> NoReturn:
    until = -math.inf
    while True:
        try:
            _serve(client, config, offer)
        except SnakegymError:  # what it joins may be on its way back
            if time.monotonic() > until:
                raise
            time.sleep(AGAIN_S)
        else:
            print(f"node {config.name}: the cluster has gone, or has given it up; joins anew", flush=True)
            until = time.monotonic() + BACK_S


def _serve(client: Client, config: NodeConfig, offer: dict[str, Any]) -> None:
    """Be a node until the cluster has gone."""
    joining = client.ask("POST", f"/nodes/{config.name}/join")
    from snakegym.training.cluster.onray.session import end, start_node, use_token  # Ray is an option

    if joining["token"]:
        use_token(joining["token"])
    child = start_node(joining["address"], offer, config.ip or _loopback(config.name))
    try:
        _until_it_is_known(client, config.name)
        print(f"node {config.name} has joined {config.provider}", flush=True)
        while child.poll() is None:
            time.sleep(LOOK_S)
    finally:
        end(child)


def _stated(config: NodeConfig) -> dict[str, Any]:
    stated = {
        "memory_bytes": config.memory_bytes,
        "slots": config.slots,
        "throttle": config.throttle,
        "compute_power_w": config.compute_power_w,
        "radio_power_w": config.radio_power_w,
    }
    return {name: value for name, value in stated.items() if value is not None}


def _until_it_is_known(client: Client, name: str) -> None:
    until = time.monotonic() + JOIN_S
    while time.monotonic() < until:
        with suppress(SnakegymError):  # until it is known
            if client.ask("GET", f"/nodes/{name}")["alive"]:
                return
        time.sleep(LOOK_S)
    raise SnakegymError(
        f"node '{name}': has joined Ray, but the provider does not see it within {JOIN_S:g} s"
    )


def _loopback(name: str) -> str:
    """An address of this machine alone that no other node of it has."""
    one, two, three = hashlib.sha256(name.encode()).digest()[:3]
    return f"127.{1 + one % 250}.{two}.{1 + three % 250}"


@contextmanager
def _heeding_the_end() -> Iterator[None]:
    """A signal to end is as good as Ctrl-C."""

    def stop(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
