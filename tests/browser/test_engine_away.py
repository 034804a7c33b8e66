"""The engine goes away under open pages and comes back; nothing is concluded, nothing has to be reloaded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests import recording
from tests.browser.product import Product, running
from tests.browser.proxy import Wire, wire
from tests.browser.room import Room, found

SOON = 20_000  # ms
SINCE = re.compile(r"Engine unreachable since \d\d:\d\d")


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """What leads to the engine, of this file's product alone: the machine's engine is never touched."""
    host = recording.host()
    if not host.startswith("unix://"):
        pytest.skip(f"the engine at {host} has no socket here")
    with wire(Path(host.removeprefix("unix://")), tmp_path_factory.mktemp("line") / "engine.sock") as made:
        yield made


@pytest.fixture(scope="module")
def site(line: Wire, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A product of its own at the end of that line."""
    with running(tmp_path_factory.mktemp("site"), DOCKER_HOST=f"unix://{line.address}") as made:
        yield made


@pytest.fixture
def alice(site: Product, line: Wire, visit: Callable[..., Page]) -> Iterator[Page]:
    yield visit("alice", base_url=site.url)
    line.mend()


def test_open_pages_say_since_when_and_recover_by_themselves(
    alice: Page, line: Wire, launch: Callable[..., str]
) -> None:
    room = Room(alice, launch(alice, name="through-thick")).enter()
    fleet = alice.context.new_page()
    fleet.goto("/sandboxes/")
    expect(fleet.locator("link-state")).to_contain_text("live")
    line.cut()
    for page in (alice, fleet):
        expect(page.locator("#engine")).to_contain_text(SINCE, timeout=SOON)
        expect(page.locator("#engine")).to_be_visible(timeout=SOON)
    expect(fleet.locator("[data-engine]")).to_contain_text(re.compile(r"unreachable since \d\d:\d\d"))
    room.shows("running")  # never concluded from silence
    expect(fleet.locator("#rows .badge")).to_have_text("running")
    line.mend()
    for page in (alice, fleet):
        expect(page.locator("#engine")).to_be_hidden(timeout=SOON)
    expect(fleet.locator("[data-engine]")).to_have_text("reachable")
    room.button("New shell").click()
    room.ready()
    room.run("echo back-$((1+1))")
    room.sees("\nback-2\n")


def test_an_act_meanwhile_is_refused_in_words_and_can_be_done_after(
    alice: Page, line: Wire, launch: Callable[..., str]
) -> None:
    room = Room(alice, launch(alice)).enter()
    line.cut()
    expect(alice.locator("#engine")).to_be_visible(timeout=SOON)
    room.press("Pause")
    expect(alice.locator("#toasts")).to_contain_text("The engine does not answer", timeout=SOON)
    room.shows("running")
    line.mend()
    expect(alice.locator("#engine")).to_be_hidden(timeout=SOON)
    room.press("Pause")
    room.shows("paused")


def test_a_launch_meanwhile_waits_and_starts_by_itself(alice: Page, line: Wire, site: Product) -> None:
    alice.goto("/sandboxes/new/")
    takes = alice.locator("[data-takes-ready]")
    expect(takes).to_contain_text("Ready in about a second")
    line.cut()
    expect(alice.locator("#engine")).to_contain_text(SINCE, timeout=SOON)
    expect(takes).to_contain_text("starts as soon as that is back")
    alice.get_by_role("button", name="Launch", exact=True).click()
    stage = alice.locator("#room-stage")
    expect(stage).to_contain_text("Waiting for the engine", timeout=SOON)
    line.mend()
    Room(alice, found(r"/sandboxes/(sb_\w+)/", alice.url)).shows("running", 20)
    expect(stage).not_to_contain_text("Waiting")
