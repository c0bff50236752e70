"""`snakegym serve`: registry, steward, API and page in one program."""

from __future__ import annotations

import logging
import os
import signal
import socket
import ssl
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import uvicorn

from snakegym.errors import SnakegymError, SnakegymWarning
from snakegym.training.cluster.api.app import Api, make_api
from snakegym.training.cluster.api.guard import Limits
from snakegym.training.cluster.commands.config import ServeConfig
from snakegym.training.cluster.hosting import ProcessHost
from snakegym.training.cluster.local.host import LocalHost
from snakegym.training.cluster.provider.provider import ServiceProvider
from snakegym.training.cluster.provider.steward import Steward
from snakegym.training.cluster.registry.store import Registry
from snakegym.training.cluster.registry.tokens import Tokens, operator_token
from snakegym.training.runs.folder import locked, make_folder

LOOPBACK = ("127.0.0.1", "::1", "localhost")
LOOPBACK_OF_RAY = "127.0.0.2"
CONNECTIONS = 512
GRACE_S = 3
"""For answers under way, when all is closed."""


def serve(config: ServeConfig) -> None:
    """Serve until Ctrl-C or a signal to end. Raises SnakegymError where that cannot begin."""
    new = not config.folder.exists()
    make_folder(config.folder)
    if new:
        config.folder.chmod(0o700)
    with locked(config.folder), _heeding_the_end():
        tls = _tls(config)
        with _listening(config) as listening:
            registry = Registry(config.database or f"sqlite:///{config.folder.absolute() / 'registry.db'}")
            try:
                _serve(config, registry, listening, tls)
            finally:
                registry.close()


def make_host(config: ServeConfig) -> ProcessHost:
    """What runs the processes. Raises SnakegymError: there is no Ray at that address."""
    if config.ray is not None:
        from snakegym.training.cluster.onray.host import RayHost  # Ray is an option

        return RayHost(config.folder / "processes", config.ray, config.ray_ip or LOOPBACK_OF_RAY)
    return LocalHost(config.folder / "processes", config.simulated, config.slots, config.pace)


def _serve(config: ServeConfig, registry: Registry, listening: socket.socket, tls: bool) -> None:
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s", level=logging.WARNING)
    provider, tokens = ServiceProvider(registry, config.trust), Tokens(registry)
    path = config.folder / "token"
    operator_token(tokens, path)
    host = make_host(config)
    limits = Limits(rate=config.rate, burst=4 * config.rate)
    api = make_api(registry, provider, tokens, limits, getattr(host, "joining", None))
    steward = Steward(registry, host)
    steward.begin()
    try:
        port = listening.getsockname()[1]
        shown = f"[{config.host}]" if ":" in config.host else config.host
        print(
            f"provider at http{'s' if tls else ''}://{shown}:{port} (page and API), token in {path}",
            flush=True,
        )
        if config.host not in LOOPBACK and not tls:
            warnings.warn(
                "tokens travel unencrypted: --certificate and --key, or a network of your own",
                SnakegymWarning,
                stacklevel=1,
            )
        _Server(config, api).run(sockets=[listening])
    finally:
        steward.end()


class _Server(uvicorn.Server):
    """Ends its streams when it is to end."""

    def __init__(self, config: ServeConfig, api: Api) -> None:
        self._api = api
        super().__init__(
            uvicorn.Config(
                api.asgi,
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=CONNECTIONS,
                timeout_keep_alive=10,
                timeout_graceful_shutdown=GRACE_S,
                ssl_certfile=config.certificate,
                ssl_keyfile=config.key,
            )
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Nobody waits for events any longer."""
        self._api.streams.closing = True
        super().handle_exit(sig, frame)


def _tls(config: ServeConfig) -> bool:
    """Whether HTTPS is served. Raises SnakegymError for files that are none of a certificate and its key."""
    if config.certificate is None or config.key is None:
        return False
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(config.certificate, config.key)
    except OSError as error:
        raise SnakegymError(
            f"--certificate {config.certificate}, --key {config.key}: {error.strerror or error}"
        ) from None
    return True


def _listening(config: ServeConfig) -> socket.socket:
    """A socket on the address. Raises SnakegymError where there is none, or it is taken."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            config.host, config.port, type=socket.SOCK_STREAM
        )[0]
        # Only of a socket that says it is TCP's does asyncio switch Nagle's algorithm off: 40 ms an answer.
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _cannot_listen(config, error) from None
    try:
        if os.name == "posix":  # elsewhere it would let two listen
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()
    except OSError as error:
        listening.close()
        raise _cannot_listen(config, error) from None
    return listening


def _cannot_listen(config: ServeConfig, error: OSError) -> SnakegymError:
    return SnakegymError(f"{config.host}:{config.port}: cannot listen there: {error.strerror or error}")


@contextmanager
def _heeding_the_end() -> Iterator[None]:
    """A signal to end is as good as Ctrl-C: processes leave their checkpoints."""

    def end(*_: object) -> NoReturn:
        raise KeyboardInterrupt("processes go on when it is started again")

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
