"""The whole product in a real browser: one server for all tests, a fresh browser profile for each.

Whatever a page complains about (an error, an exception, a breach of its own policy) fails the test.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, WebSocket, expect

from scripts import browser as chromium
from tests.browser.product import Product, running
from tests.browser.room import DROPPED, Room, come_in, launched

# Playwright keeps a loop running in the main thread; Django would refuse the database there.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"

expect.set_options(timeout=15_000)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TELL = """
document.addEventListener("securitypolicyviolation", (event) => {
    console.error("CSP", event.violatedDirective, event.blockedURI);
});
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs the browser."""
    for item in items:
        if "tests/browser" in str(item.path):
            item.add_marker(pytest.mark.browser)


def missing(reason: str) -> None:
    """Skip on a developer's machine; in CI nothing may be skipped."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(autouse=True)
def stage() -> None:
    """Nothing of the fast tests' stage: the product runs in its own processes."""


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    path = chromium.find()
    if path is None:
        missing("no chromium runs here")
    return {"executable_path": path, "args": FLAGS}


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """One install with its cast, and everything of it gone at the end."""
    try:
        docker.from_env().ping()
    except docker.errors.DockerException as error:
        missing(f"no usable Docker Engine: {error}")
    with running(tmp_path_factory.mktemp("product")) as made:
        yield made


SAYS_SO = ["htmx:sendError", "htmx:afterRequest"]
"""What the page says of a request that was dropped so."""


class Complaints(list[str]):
    """What pages complained about; ``expect`` names what a test brings about on purpose."""

    def __init__(self) -> None:
        super().__init__()
        # the browser drops what it is fetching whenever a bridge comes or goes on this machine
        self.expected = [DROPPED]

    def expect(self, *parts: str) -> None:
        self.expected.extend(parts)

    def hear(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("websocket", tap)
        page.on("pageerror", lambda error: self.append(f"exception: {error}"))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.append(f"{message.text} {message.location.get('url', '')}")

    def real(self) -> list[str]:
        dropped = SAYS_SO if any(DROPPED in one for one in self) else []
        return [one for one in self if not any(part in one for part in (*self.expected, *dropped))]


def tap(socket: WebSocket) -> None:
    """Write down what goes over a terminal's socket; pytest shows it when the test fails."""
    path = socket.url.partition("/ws/")[2]
    if "terminals" not in path:
        return
    print("opened", path)
    socket.on("framesent", lambda data: print(f"{clock()} > {data[:80]!r}"))
    socket.on("framereceived", lambda data: print(f"{clock()} < {data[:200]!r}"))
    socket.on("close", lambda _: print("closed", path))


def clock() -> str:
    return f"{time.monotonic():.2f}"


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    heard = Complaints()
    yield heard
    assert heard.real() == []


@pytest.fixture
def visit(browser: Browser, product: Product, complaints: Complaints) -> Iterator[Callable[..., Page]]:
    """``visit("alice", viewport=..., java_script_enabled=False)``: a page of a fresh browser, signed in."""
    made: list[BrowserContext] = []

    def visited(name: str | None = "alice", **options: Any) -> Page:
        usual = {"base_url": product.url, "viewport": {"width": 1280, "height": 900}}
        context = browser.new_context(**{**usual, **options})
        made.append(context)
        context.add_init_script(TELL)
        context.on("page", complaints.hear)
        page = context.new_page()
        if name:
            come_in(page, name)
        return page

    yield visited
    for context in made:
        context.close()


@pytest.fixture
def alice(visit: Callable[..., Page]) -> Page:
    """Alice's browser, signed in."""
    return visit("alice")


@pytest.fixture
def launch(product: Product, visit: Callable[..., Page]) -> Iterator[Callable[..., str]]:
    """``launch(page, name=..., lifetime=...)``: the id of a sandbox that runs; removed after the test."""
    made: list[tuple[Page, str]] = []

    def launching(page: Page, **fields: str) -> str:
        sandbox_id = launched(page, **fields)
        made.append((page, sandbox_id))
        return sandbox_id

    yield launching
    for _, sandbox_id in made:
        with contextlib.suppress(docker.errors.APIError):  # it is gone, or going
            product.container(sandbox_id).remove(force=True)


@pytest.fixture
def room(alice: Page, launch: Callable[..., str]) -> Room:
    """Alice in a fresh sandbox's page, its terminal ready."""
    return Room(alice, launch(alice)).enter()
