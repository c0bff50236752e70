"""A server that is lost is noticed, once, and nobody waits for it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest

from snakegym.training.tracking.network import Watch


def within(seconds: float, news: Callable[[], str | None]) -> str | None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if (found := news()) is not None:
            return found
        time.sleep(0.01)
    return None


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_a_server_that_is_there_is_no_news() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        watch = Watch(f"http://127.0.0.1:{server.getsockname()[1]}", every_s=0)
        assert within(0.3, watch.news) is None


def test_a_server_that_is_gone_is_news_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        watch = Watch(f"http://127.0.0.1:{server.getsockname()[1]}", every_s=0)
    assert within(10, watch.news) is not None
    assert watch.told
    assert within(0.2, watch.news) is None


def test_behind_a_proxy_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert within(0.3, Watch("http://127.0.0.1:9", every_s=0).news) is None
