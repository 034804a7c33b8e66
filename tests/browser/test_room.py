"""One sandbox's page tells the truth, whoever changes it and by whatever means."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.product import Product
from tests.browser.room import Room, wait_for

UNOFFERED = """() => {
    for (const one of document.querySelectorAll('form[action*="/resume/"]')) one.remove();
    return document.querySelector("[data-notice-act]").checkVisibility();
}"""


def test_removed_by_hand_is_seen_within_two_seconds(room: Room, product: Product) -> None:
    product.container(room.id).remove(force=True)
    room.shows("removed", patience=2)
    expect(room.notice).to_be_visible()
    expect(room.terminal).to_have_attribute("state", "ended")


def test_paused_by_hand_is_seen_and_resumed_by_button(room: Room, product: Product) -> None:
    product.container(room.id).pause()
    room.shows("paused", patience=2)
    expect(room.page.locator("#room-timeline")).to_contain_text("paused")
    room.terminal.evaluate("one => one.toggleAttribute('data-full', true)")
    expect(room.notice.get_by_role("button", name="Resume")).to_be_visible()
    assert not room.page.evaluate(UNOFFERED), "it would do nothing"
    room.page.reload()
    room.press("Resume")
    room.shows("running")
    room.run("echo goes-on")
    room.sees("\ngoes-on\n")


def test_expiry_ends_the_terminal_with_its_reason(alice: Page, launch: Callable[..., str]) -> None:
    room = Room(alice, launch(alice, lifetime="12 s")).enter()
    room.run("echo last-words")
    room.sees("\nlast-words\n")
    expect(alice.locator("#room-header time-left")).to_have_attribute("data-soon", "")
    expect(room.notice).to_contain_text(re.compile("time .*was over"), timeout=20_000)
    room.shows("removed")
    assert "last-words" in room.text()
    expect(alice.locator("#room-stage")).to_contain_text("It is gone")


def test_stop_says_who_did_it_and_start_brings_a_new_shell(room: Room) -> None:
    room.run("echo before > kept")
    room.press("Stop")
    dialog = room.page.get_by_role("dialog")
    if dialog.is_visible():
        dialog.get_by_role("button", name="Stop").click()
    room.shows("stopped")
    expect(room.notice).to_contain_text(re.compile("stopped", re.I))
    expect(room.button("New terminal")).to_be_hidden()
    expect(room.page.get_by_role("button", name="Start", exact=True)).to_have_count(2)  # header, stage
    room.page.locator("#room-stage").get_by_role("button", name="Start").click()
    room.shows("running")
    expect(room.button("New terminal")).to_be_visible()
    room.ready()
    room.run("cat kept")
    room.sees("\nbefore\n")


def test_a_stopped_one_that_is_removed_says_the_later_news(room: Room) -> None:
    room.act("Stop")
    room.shows("stopped")
    expect(room.notice).to_contain_text("stopped by alice")
    room.act("Remove")
    room.shows("removed")
    expect(room.notice).to_contain_text("This sandbox is gone")
    expect(room.notice.get_by_role("button")).to_be_hidden()
    expect(room.button("New terminal")).to_be_hidden()


def test_shell_of_another_page_is_seen_there_and_here(room: Room, visit: Callable[..., Page]) -> None:
    prof = Room(visit("prof"), room.id).enter()
    room.button("New terminal").click()
    expect(prof.page.locator("#tab-two")).to_be_visible()
    expect(room.page.locator("#tab-two")).to_have_attribute("aria-selected", "true")
    expect(prof.page.locator("#tab-main")).to_have_attribute("aria-selected", "true")


def test_extend_gives_more_time_and_says_so(room: Room) -> None:
    left = room.page.locator("#room-header time-left")
    before = left.get_attribute("expires")
    room.press("+ 30 min")
    expect(left).not_to_have_attribute("expires", before or "")
    expect(room.page.locator("#toasts .toast")).to_be_visible()


def test_remove_asks_first(room: Room, product: Product) -> None:
    room.page.get_by_label("More actions").click()
    room.page.locator("#room-header").get_by_role("button", name="Remove").click()
    dialog = room.page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Keep it").click()
    expect(dialog).to_be_hidden()
    room.shows("running")
    room.page.get_by_label("More actions").click()
    room.page.locator("#room-header").get_by_role("button", name="Remove").click()
    dialog.get_by_role("button", name="Remove").click()
    room.shows("removed")
    wait_for(lambda: f"sandbox-{room.id}" not in product.names(), "it is there")


def test_charts_fill_and_read_out(room: Room) -> None:
    room.run("while :; do :; done")
    figure = room.page.locator('.figure stat-figure[kind="cpu"]')
    expect(figure).to_have_text(re.compile(r"^\d+ %$"), timeout=45_000)  # the engine's first ones take long
    chart = room.page.get_by_role("img", name=re.compile("^CPU, last 10 minutes: now"))
    expect(chart).to_be_visible()
    room.page.keyboard.press("Shift+F6")
    chart.focus()
    chart.press("End")
    expect(room.page.locator('stat-chart[kind="cpu"] .chart-read')).to_have_text(re.compile("% · now"))
    expect(room.page.locator('stat-figure[kind="memory"]').first).to_have_text(re.compile(r"[kM]B"))


def test_somebody_elses_sandbox_is_not_there(room: Room, visit: Callable[..., Page], complaints: Any) -> None:
    complaints.expect("404")
    bob = visit("bob")
    answer = bob.goto(f"/sandboxes/{room.id}/")
    assert answer is not None
    assert answer.status == 404
    expect(bob.locator("sandbox-terminal")).to_have_count(0)


def test_a_yes_counts_though_the_page_changed_while_it_was_asked(room: Room) -> None:
    room.page.get_by_label("More actions").click()
    room.page.locator("#room-header").get_by_role("button", name="Remove").click()
    dialog = room.page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    room.page.evaluate("document.querySelector('#room-header').dataset.old = '1'")
    room.page.evaluate("htmx.trigger('#room-header', 'refresh')")
    expect(room.page.locator("#room-header")).not_to_have_attribute("data-old", "1")
    dialog.get_by_role("button", name="Remove").click()
    room.shows("removed")
