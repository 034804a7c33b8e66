"""A page stays where it is and goes on where one is about to type."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.browser.product import Product
from tests.browser.room import Room, wait_for

SLIDES = """
window.slid = [];
new PerformanceObserver((list) => {
    for (const one of list.getEntries()) {
        const from = one.sources.map(({ node }) => node?.id || node?.className || node?.nodeName);
        slid.push([one.value, from.join()]);
    }
}).observe({ type: "layout-shift", buffered: true });
"""


def test_a_launch_moves_nothing_and_ends_in_the_terminal(
    alice: Page, product: Product, complaints: Any
) -> None:
    """A refused form begins at its fault; the page that follows takes what is typed, without a click."""
    complaints.expect("422")
    alice.goto("/sandboxes/new/")
    a_refusal_without_a_field_begins_at_its_sentence(alice, product)
    alice.get_by_label("Memory", exact=True).fill("much")
    alice.get_by_role("button", name="Launch", exact=True).click()
    expect(alice.get_by_label("Memory", exact=True)).to_be_focused()
    alice.get_by_label("Memory", exact=True).fill("64m")
    alice.add_init_script(SLIDES)
    alice.get_by_role("button", name="Launch", exact=True).click()
    alice.wait_for_url(re.compile(r"/sandboxes/sb_\w+/$"))
    room = Room(alice, alice.url.rstrip("/").rpartition("/")[2])
    try:
        room.ready()
        alice.keyboard.type("echo typed-$((1+1))\n")
        room.sees("\ntyped-2\n")
        slid = alice.evaluate("slid")
        assert sum(value for value, _ in slid) < 0.1, slid
        alice.goto("/sandboxes/")
        alice.locator(f"#row-{room.id}").get_by_role("link", name="Terminal").click()
        room.ready()
        alice.keyboard.type("echo again-$((1+1))\n")
        room.sees("\nagain-2\n")
    finally:
        product.container(room.id).remove(force=True)


def a_refusal_without_a_field_begins_at_its_sentence(page: Page, product: Product) -> None:
    quota = (
        "from sandboxes.models import User; User.objects.filter(username='alice').update(quota_sandboxes={})"
    )
    product.manage("shell", "-v", "0", "-c", quota.format(0))
    try:
        page.get_by_role("button", name="Launch", exact=True).click()
        expect(page.get_by_role("alert")).to_be_focused()
    finally:
        product.manage("shell", "-v", "0", "-c", quota.format(None))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('form.split') !== null"), "Tab goes on in the form"


def test_a_lost_connection_moves_nothing(room: Room, complaints: Any) -> None:
    complaints.expect("WebSocket connection", "net::ERR", "Failed to load", "htmx:")
    before = box(room.page.locator("#room-header"))
    room.page.context.set_offline(True)
    told = room.page.locator("link-state")
    expect(told).to_contain_text("No network")
    assert box(room.page.locator("#room-header")) == before
    assert told.evaluate("one => one.getBoundingClientRect().bottom") <= before["y"]
    nor_does_an_engine_that_is_away(room.page)
    room.page.context.set_offline(False)
    expect(told).to_be_hidden()


def nor_does_an_engine_that_is_away(page: Page) -> None:
    say = "since => import('sandboxes/engine.js').then(({ engine }) => engine(since))"
    size = page.viewport_size
    for width in (1280, 800, 400):
        page.set_viewport_size({"width": width, "height": 800})
        before = box(page.locator("#room-header"))
        page.evaluate(say, "2026-11-29T12:00:00Z")
        banner = page.locator("#engine")
        expect(banner).to_be_in_viewport(ratio=1)
        assert box(page.locator("#room-header")) == before, width
        assert box(banner)["y"] + box(banner)["height"] <= before["y"] + 6, "it covers nothing that is read"
        page.evaluate(say, None)
    assert size
    page.set_viewport_size(size)


def box(of: Locator) -> Any:
    found = of.bounding_box()
    assert found
    return found


def is_inside(one: Locator, frame: Locator) -> bool:
    inner, outer = box(one), box(frame)
    return bool(
        outer["x"] - 1 <= inner["x"] and inner["x"] + inner["width"] <= outer["x"] + outer["width"] + 1
    )


def test_a_phone_shows_the_chosen_tab_the_state_and_the_keys(
    visit: Callable[..., Page], launch: Callable[..., str]
) -> None:
    page = visit("alice", viewport={"width": 400, "height": 800}, has_touch=True, is_mobile=True)
    room = Room(page, launch(page)).enter()
    for name in ("two", "three", "four", "five"):
        room.button("New terminal").click()
        expect(page.locator(f"#tab-{name}")).to_have_attribute("aria-selected", "true")
    room.ready()
    room.press("Pause")
    room.shows("paused")
    state = page.locator("[data-state]", has_text="paused")
    wait_for(
        lambda: state.evaluate("one => one.scrollWidth <= one.parentElement.clientWidth"), "cut", page=page
    )
    row, says = box(page.get_by_role("tablist")), box(state)
    wait_for(lambda: is_inside(page.locator("#tab-five"), page.get_by_role("tablist")), "hidden", page=page)
    assert row["x"] + row["width"] <= says["x"]
    page.evaluate(
        "document.dispatchEvent(new CustomEvent('toast', { detail: { level: 'info', message: 'x' } }))"
    )
    page.locator("[data-keys]").scroll_into_view_if_needed()
    toasts, keys = box(page.locator("#toasts")), box(page.locator("[data-keys]"))
    assert toasts["y"] + toasts["height"] < keys["y"]
