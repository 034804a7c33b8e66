"""Everybody can use it: names for what is pressed, contrast, focus that is seen, no scrolling sideways."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.room import Room

NAMELESS = re.compile(
    r"^\s*- (?:button|link|textbox|searchbox|checkbox|radio|combobox|spinbutton|tab|img|progressbar|dialog)"
    r"(?: \[[^\]]*\])*:?$",
    re.MULTILINE,
)

CONTRAST = Path(__file__).with_name("contrast.js").read_text()
FOCUS = Path(__file__).with_name("focus.js").read_text()


@pytest.fixture
def tour(alice: Page, launch: Callable[..., str], complaints: Any) -> Callable[[], Any]:
    """Every page alice has, one after the other, with a live sandbox, a command and a refused form."""
    complaints.expect("404", "status of 422")
    room = Room(alice, launch(alice, name="for-everybody", lifetime="4 min")).enter()
    room.page.get_by_label("Command", exact=True).fill("echo out; echo err >&2; exit 3")
    room.page.locator(".run").get_by_role("button", name="Run").click()
    expect(room.page.locator("#command-open .badge")).to_contain_text("exit 3")

    def pages() -> Any:
        yield "a room"
        for path in ("/sandboxes/", "/sandboxes/new/", "/images/", "/profile/", f"/sandboxes/{room.id}/",
                     "/sandboxes/?q=nothing-like-it", "/nowhere/"):  # fmt: skip
            alice.goto(path)
            if path == f"/sandboxes/{room.id}/":
                room.ready()
            yield path
        alice.goto("/sandboxes/new/")
        alice.get_by_label("Memory", exact=True).fill("a lot")
        alice.get_by_role("button", name="Launch", exact=True).click()
        expect(alice.locator("#id_memory-error")).to_be_visible()
        yield "a refused form"
        alice.context.clear_cookies()
        alice.goto("/sign-in/")
        yield "sign in"

    return pages


def test_the_checks_notice_what_they_are_for(alice: Page) -> None:
    """A check that finds nothing anywhere would prove nothing."""
    alice.evaluate(
        """() => {
            const button = document.createElement("button");
            button.append(document.createElement("i"));
            const faint = document.createElement("p");
            faint.textContent = "hard to read";
            faint.style.color = "color-mix(in srgb, currentColor 40%, transparent)";
            document.querySelector("main").append(button, faint);
            button.style.cssText = "outline: none; box-shadow: none; width: 20px";
            button.focus();
        }"""
    )
    assert NAMELESS.search(alice.locator("body").aria_snapshot())
    assert ["hard to read" in one for one in alice.evaluate(CONTRAST)] == [True]
    assert alice.evaluate(FOCUS) == "button"


def test_whatever_is_pressed_or_filled_in_has_a_name(tour: Any, alice: Page) -> None:
    for path in tour():
        for menu in alice.locator("details.menu > summary").all():
            menu.dispatch_event("click")  # what is folded away counts too
        tree = alice.locator("body").aria_snapshot()
        assert not NAMELESS.search(tree), (path, NAMELESS.findall(tree), tree)
        assert alice.get_by_role("main").count() == 1, path
        assert alice.locator("h1").count() == 1, path
        assert alice.evaluate("document.documentElement.lang") == "en"
        assert alice.title().strip(), path


@pytest.fixture
def theme(alice: Page, request: Any) -> None:
    """Day or night, before the first page is loaded."""
    alice.emulate_media(color_scheme=request.param, reduced_motion="reduce")


@pytest.mark.parametrize("theme", ["light", "dark"], indirect=True)
def test_text_stands_out_from_what_is_behind_it(theme: None, tour: Any, alice: Page) -> None:
    weak = {path: found for path in tour() if (found := alice.evaluate(CONTRAST))}
    assert weak == {}


def test_nothing_scrolls_sideways_on_a_phone(tour: Any, alice: Page) -> None:
    alice.set_viewport_size({"width": 360, "height": 740})
    width = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    for path in tour():
        wide, room = alice.evaluate(width)
        assert wide <= room, path


def test_nor_does_it_for_staff_who_see_more(visit: Callable[..., Page]) -> None:
    prof = visit("prof", viewport={"width": 360, "height": 740})
    wide, room = prof.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide <= room
    expect(prof.locator(".bar summary")).to_be_in_viewport()


def test_focus_is_always_seen(alice: Page, launch: Callable[..., str]) -> None:
    launch(alice, name="seen")
    for path in ("/sandboxes/?q=seen", "/sandboxes/new/", "/images/", "/profile/"):
        alice.goto(path)
        unseen = set()
        for _ in range(30):
            alice.keyboard.press("Tab")
            unseen.add(alice.evaluate(FOCUS))
        assert unseen - {None, "nothing"} == set(), path


def test_a_sandbox_is_launched_paused_and_removed_by_keyboard(alice: Page) -> None:
    """Tab, arrows, Enter, Space and Escape, and the pages' own shortcuts; no pointer."""
    press = alice.keyboard.press

    def reach(target: Any) -> None:
        """Tab by Tab; who went past it into the terminal leaves that as it says, and goes back."""
        way = "Tab"
        for _ in range(80):
            if target.evaluate("element => element === document.activeElement"):
                return
            if alice.evaluate("document.activeElement.matches('.xterm-helper-textarea')"):
                press("Shift+F6")
                way = "Shift+Tab"
            press(way)
        raise AssertionError(f"not reached by Tab: {target}")

    alice.goto("/sandboxes/")
    reach(alice.get_by_role("link", name="Launch sandbox"))
    press("Enter")
    alice.wait_for_url("**/sandboxes/new/")
    reach(alice.get_by_label("Name", exact=True))
    alice.keyboard.type("no-mouse")
    press("Enter")
    alice.wait_for_url(re.compile(r"/sandboxes/sb_\w+/$"))
    badge = alice.locator("#room-header .badge")
    expect(badge).to_contain_text("running")
    header = alice.locator("#room-header")
    reach(header.get_by_role("button", name="Pause"))
    press("Enter")
    expect(badge).to_contain_text("paused")
    reach(header.get_by_label("More actions"))
    press("Enter")
    press("ArrowUp")  # the last one
    expect(header.get_by_role("button", name="Remove")).to_be_focused()
    press("Escape")
    expect(header.get_by_label("More actions")).to_be_focused()
    press("Enter")
    press("ArrowUp")
    press("Enter")
    dialog = alice.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()  # the harmless one
    press("Tab")
    press("Enter")
    expect(badge).to_contain_text("removed")


ESCAPED = """() => new Promise((resolve) => {
  const menu = () => document.querySelector("#room-header details.menu");
  const escape = () => new KeyboardEvent("keydown", { key: "Escape", bubbles: true });
  const press = () => document.activeElement.dispatchEvent(escape());
  document.addEventListener("htmx:afterSwap", () => press(), { once: true });
  document.addEventListener("htmx:afterSettle", () => resolve(menu().open), { once: true });
  htmx.trigger("#room-header", "refresh");
})"""


def test_a_menu_that_is_closed_while_its_part_is_replaced_stays_closed(
    alice: Page, launch: Callable[..., str]
) -> None:
    """Between the swap and its settling; without that act it stays open."""
    alice.goto(f"/sandboxes/{launch(alice)}/")
    menu = alice.locator("#room-header details.menu")
    menu.locator("summary").click()
    quiet = ESCAPED.replace("() => press()", "() => {}")
    assert alice.evaluate(quiet) is True
    assert alice.evaluate(ESCAPED) is False
    expect(menu).not_to_have_attribute("open", "")
