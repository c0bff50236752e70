"""The page in a real browser: a headless Chromium of this machine."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1200, "height": 900}
PATIENCE_MS = 60_000
"""Of a busy machine."""
SCREENSHOT = Path(__file__).parents[4] / "docs" / "provider.png"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Skipped by name where there is no Chromium."""
    playwright = pytest.importorskip("playwright.sync_api")
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"none of {', '.join(NAMES)} is installed")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """An empty page; what it says on its console is no error."""
    context = browser.new_context(viewport=DESK)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    assert [line for line in said if "401" not in line] == []


def enter(page: Any, provider: Any) -> None:
    page.goto(provider.url)
    page.fill("#token", provider.token)
    page.click("#login button")
    page.wait_for_selector("#board", state="visible")


def wait(page: Any, what: str) -> None:
    """Until that is true; Playwright's own way evaluates in the page, whose policy forbids it."""
    until = time.monotonic() + PATIENCE_MS / 1000
    while not page.evaluate(what):
        assert time.monotonic() < until, f"{what}: {page.inner_text('body')}"
        time.sleep(0.05)


def texts(page: Any, selector: str) -> list[str]:
    return [text.strip() for text in page.locator(selector).all_text_contents()]


def test_from_the_token_to_the_end(serve: Any, page: Any) -> None:
    provider = serve("--pace", 0.15, "--simulated", 12)
    provider.ask(
        "POST", "/services", json={"name": "digits", "scenario": "default", "scheduler": "serpentine"}
    )
    asked = {"service": "digits", "shadow": "greedy", "seed": 3}
    process = provider.ask("POST", "/processes", json=asked)["process"]
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))

    page.goto(provider.url)
    page.fill("#token", "a guess")
    page.click("#login button")
    wait(page, "document.querySelector('#refused').textContent.includes('not good')")
    assert page.is_hidden("#board")
    enter(page, provider)

    wait(page, "document.querySelectorAll('#network path').length >= 3")
    assert texts(page, "#detail-title") == [process]
    assert page.locator("#network circle").count() == 9, "a disc a seat"
    assert page.locator("#layers li").count() == 7
    assert any("local-" in text for text in texts(page, "#layers .bar"))
    assert page.locator("#chart .curve").count() == 1
    assert {"Accuracy", "Time", "Energy", "Bytes"} <= {*texts(page, "#totals dt")}
    log = texts(page, "#log li")
    assert any("trained layer" in line and "[greedy: " in line for line in log)
    assert texts(page, "#nodes tbody td:first-child")[0] == "local-01"
    wait(page, "document.querySelector('#node-counts').textContent.includes('9 leased')")
    taken = Path(os.environ.get("SNAKEGYM_SCREENSHOT", provider.folder / "provider.png"))
    if "SNAKEGYM_SCREENSHOT" in os.environ:
        wait(page, "document.querySelectorAll('#network path').length >= 8")
    page.screenshot(path=taken, full_page=True)
    assert taken.stat().st_size > 20_000
    assert SCREENSHOT.exists(), "the docs have one: SNAKEGYM_SCREENSHOT=docs/provider.png takes it"

    page.reload()
    page.wait_for_selector("#detail", state="visible")  # the token is entered once
    page.click("#migrate")
    page.click("#yes")
    wait(page, "document.querySelector('#asked').textContent === 'migrate: done'")
    wait(page, "document.querySelector('#log').textContent.includes('resumed on')")
    page.click("#stop")
    page.click("#confirm button:has-text('Cancel')")
    assert provider.ask("GET", f"/processes/{process}")["state"] == "running"
    page.click("#stop")
    page.click("#yes")
    wait(page, "document.querySelector('#asked').textContent === 'stop: done'")
    wait(page, "document.querySelector('#log').textContent.includes('ended (request)')")
    wait(page, "document.querySelector('#stop').disabled")

    assert all(url.startswith(provider.url) for url in requested), "nothing comes from elsewhere"
    assert not any(provider.token in url for url in [*requested, page.url])
    page.click("#forget")
    assert page.is_hidden("#board")
    assert page.evaluate("localStorage.length") == 0


def test_on_a_phone_and_with_a_hostile_service(shared: Any, page: Any) -> None:
    told = "<img src=x onerror=alert(1)>"
    service = {"name": "sly", "task": told, "scenario": "default", "devices": {"start_nodes": 2}}
    shared.ask("POST", "/services", json={**service, "scheduler": "fastest+stop"})
    process = shared.ask("POST", "/processes", json={"service": "sly"})["process"]
    page.set_viewport_size(PHONE)
    enter(page, shared)
    page.goto(f"{shared.url}/#{process}")
    wait(page, "document.querySelectorAll('#log li').length >= 4")
    wait(page, "document.querySelector('#about').textContent.includes('onerror')")
    assert page.locator("img").count() == 0, "what others write is text"
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], "nothing sticks out"
    for button in ("#stop", "#migrate"):
        assert page.locator(button).bounding_box()["height"] >= 40, "a thumb finds it"
    page.screenshot(path=shared.folder / "phone.png", full_page=True)
