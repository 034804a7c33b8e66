"""The list keeps itself true and keeps out of the way of whoever is using it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.product import Product
from tests.browser.proxy import wire

SLOW = 45_000  # ms; the engine's first figures take long on a busy machine


def row(page: Page, sandbox_id: str) -> Any:
    return page.locator(f"#row-{sandbox_id}")


def test_changes_by_hand_appear_by_themselves(
    alice: Page, product: Product, launch: Callable[..., str]
) -> None:
    one = launch(alice, name="by-hand")
    alice.goto("/sandboxes/")
    expect(alice.locator("link-state")).to_contain_text("live")
    product.container(one).pause()
    expect(row(alice, one).locator(".badge")).to_contain_text("paused", timeout=2000)
    expect(alice.locator("#chips")).to_contain_text("Paused")
    product.container(one).remove(force=True)
    expect(row(alice, one)).to_have_count(0)


def test_new_sandbox_of_another_tab_appears(alice: Page, launch: Callable[..., str]) -> None:
    alice.goto("/sandboxes/")
    expect(alice.locator("link-state")).to_contain_text("live")
    one = launch(alice, name="from-elsewhere")
    expect(row(alice, one).locator(".badge")).to_contain_text("running")


def test_figures_come_alive(alice: Page, launch: Callable[..., str]) -> None:
    one = launch(alice)
    alice.goto("/sandboxes/")
    expect(row(alice, one).locator("stat-figure")).to_have_text(re.compile(r"^[\d.]+ %$"), timeout=SLOW)
    expect(row(alice, one).locator("stat-meter")).to_contain_text("of 64 MB")
    expect(row(alice, one).locator("stat-spark path.spark-line")).to_have_attribute("d", re.compile("^M.*L"))


def test_a_figure_stays_in_its_place_also_while_it_is_not_known(
    alice: Page, product: Product, launch: Callable[..., str]
) -> None:
    one = launch(alice)
    alice.goto("/sandboxes/")
    places = []
    for pause in (False, True):
        if pause:
            product.container(one).pause()
            expect(row(alice, one).locator(".badge")).to_contain_text("paused")
        for name in (".live > :last-child", "stat-meter > :last-child"):
            found = row(alice, one).locator(name)
            expect(found).to_contain_text("of" if "meter" in name else re.compile("–|%"))
            places.append(found.evaluate("one => one.getBoundingClientRect().x"))
    assert places[:2] == places[2:]


def test_stop_on_a_selection(alice: Page, launch: Callable[..., str]) -> None:
    ids = [launch(alice, name=f"many-{number}") for number in range(3)]
    alice.goto("/sandboxes/?q=many-")
    expect(alice.locator("#rows tr")).to_have_count(3)
    alice.get_by_label("Select all on this page").check()
    alice.get_by_label("Select many-1").uncheck()
    expect(alice.get_by_label("Select all on this page")).to_have_js_property("indeterminate", True)
    alice.locator("#selection").get_by_role("button", name="Stop").click()
    dialog = alice.get_by_role("dialog")
    expect(dialog).to_contain_text("the 2 selected sandboxes")
    dialog.get_by_role("button", name="Stop").click()
    for number, word in enumerate(("stopped", "running", "stopped")):
        expect(row(alice, ids[number]).locator(".badge")).to_contain_text(word)
    expect(alice.locator("#toasts .toast")).to_be_visible()
    expect(alice.locator('[name="ids"]:checked')).to_have_count(0)


def test_ticks_menu_and_focus_survive_a_change(
    alice: Page, product: Product, launch: Callable[..., str]
) -> None:
    one, two = launch(alice, name="still-one"), launch(alice, name="still-two")
    alice.goto("/sandboxes/?q=still-")
    alice.get_by_label("Select still-one").check()
    menu = row(alice, two).get_by_label("More for still-two")
    menu.click()
    product.container(two).pause()
    expect(row(alice, two).locator(".badge")).to_contain_text("paused")
    expect(row(alice, two).locator("details")).to_have_attribute("open", "")
    expect(menu).to_be_focused()
    product.container(one).pause()
    expect(row(alice, one).locator(".badge")).to_contain_text("paused")
    expect(alice.get_by_label("Select still-one")).to_be_checked()


def test_search_as_one_types_and_slash(alice: Page, launch: Callable[..., str]) -> None:
    one, two = launch(alice, name="needle"), launch(alice, name="haystack")
    alice.goto("/sandboxes/")
    expect(row(alice, two)).to_be_visible()
    alice.keyboard.press("/")
    alice.keyboard.type("need")
    expect(row(alice, two)).to_have_count(0)
    expect(row(alice, one)).to_be_visible()
    expect(alice).to_have_url(re.compile(r"q=need"))
    expect(alice.locator("#q")).to_be_focused()


def test_lost_connection_is_said_and_repaired(
    product: Product, visit: Callable[..., Page], launch: Callable[..., str], complaints: Any
) -> None:
    complaints.expect("WebSocket connection", "net::ERR", "Failed to load")
    with wire(product.port) as line:
        page = visit("alice", base_url=f"http://127.0.0.1:{line.port}")
        one = launch(page, name="cut-off")
        page.goto("/sandboxes/?q=cut-off")
        expect(page.locator("link-state")).to_contain_text("live")
        line.cut()
        expect(page.locator("link-state")).to_contain_text("Reconnecting")
        product.container(one).pause()
        page.wait_for_timeout(1000)
        line.mend()
        expect(page.locator("link-state")).to_contain_text("live", timeout=30_000)
        expect(row(page, one).locator(".badge")).to_contain_text("paused")


def test_two_quick_presses_are_one_launch(alice: Page, launch: Callable[..., str]) -> None:
    alice.goto("/sandboxes/new/")
    alice.get_by_label("Name", exact=True).fill("only-once")
    alice.get_by_role("button", name="Launch", exact=True).dblclick()
    alice.wait_for_url(re.compile(r"/sandboxes/sb_\w+/$"))
    alice.goto("/sandboxes/?q=only-once")
    expect(alice.locator("#rows tr")).to_have_count(1)
