"""A terminal in awkward moments: hiccups, other people's windows, programs that ask, slow cards."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.product import Product
from tests.browser.proxy import wire
from tests.browser.room import Room, clipboard, wait_for


def test_what_is_typed_during_a_hiccup_arrives(
    product: Product, visit: Callable[..., Page], launch: Callable[..., str], complaints: Any
) -> None:
    complaints.expect("WebSocket connection", "net::ERR", "Failed to load", "htmx:")
    with wire(product.port) as line:
        page = visit("alice", base_url=f"http://127.0.0.1:{line.port}")
        room = Room(page, launch(page)).enter()
        room.run("echo before")
        room.sees("\nbefore\n")
        line.cut()
        expect(room.notice).to_be_visible()
        room.run("echo typed-$((20+3))")
        assert "typed-" not in room.text()
        line.mend()
        room.sees("\ntyped-23\n", patience=30)
    assert room.text().count("typed-23") == 1


def test_no_network_is_said_and_overcome(room: Room, complaints: Any) -> None:
    complaints.expect("WebSocket connection", "net::ERR", "Failed to load", "htmx:")
    room.run("(sleep 2; echo mean$((1+1))while) &")
    room.page.context.set_offline(True)
    expect(room.notice).to_contain_text("No network")
    expect(room.page.locator("link-state")).to_contain_text("No network")
    room.page.wait_for_timeout(2500)
    room.page.context.set_offline(False)
    room.sees("mean2while", patience=10)
    expect(room.notice).to_be_hidden()
    room.run("echo online-$((1+1))")
    room.sees("\nonline-2\n")


def test_a_shell_that_did_not_outlast_the_gap_is_told_as_lost(
    room: Room, product: Product, complaints: Any
) -> None:
    complaints.expect("WebSocket connection", "net::ERR", "Failed to load", "htmx:")
    room.run("echo unsaved-$((1+1))")
    room.sees("\nunsaved-2\n")
    room.page.context.set_offline(True)
    expect(room.notice).to_contain_text("The shell goes on for 5 s without this page")
    mine = f"sandbox='{room.terminal.get_attribute('sandbox')}', ended_at=None"
    ended = f"from sandboxes.models import Terminal; print(Terminal.objects.filter({mine}).count())"
    wait_for(
        lambda: product.tell(ended).strip() == "0",
        "the shell was not ended",
        page=room.page,
    )
    room.page.context.set_offline(False)
    room.sees("Your earlier shell was ended", patience=30)
    assert "unsaved-2" not in room.text()
    expect(room.page.locator("#toasts")).to_contain_text("this is a new one: what was not saved is gone.")


def test_a_fresh_shell_says_when_the_one_before_it_was_over_and_why(room: Room) -> None:
    """To a page that is loaded whole; one that saw the end needs no word."""
    room.run("exit 3")
    expect(room.notice).to_contain_text("The shell has ended with exit code 3.")
    room.page.reload()
    room.ready()
    told = re.compile(
        r"The shell before this one was over at \d\d:\d\d\. The shell has ended with exit code 3\.\n"
    )
    wait_for(lambda: told.match(room.text()), room.text, page=room.page)
    room.page.reload()
    room.ready()
    wait_for(lambda: told.match(room.text()), room.text, page=room.page)
    room.run("exit")
    room.notice.get_by_role("button", name="New shell").click()
    room.ready().run("echo and-$((1+1))")
    room.sees("\nand-2\n")
    assert room.text().count("The shell before this one") == 1, room.text()


def test_focus_reports_are_not_typed_by_a_replay(room: Room) -> None:
    """A page that comes back while a program wants focus reports must not type one for an old wish."""
    room.run("printf '\\033[?1004h'; cat -v")
    room.page.wait_for_timeout(500)
    room.page.reload()
    expect(room.terminal).to_have_attribute("state", "open")
    room.sees("cat -v")
    room.page.evaluate("document.querySelector('sandbox-terminal').session.terminal.focus()")
    room.sees("^[[I")  # this one is true: somebody has just come
    room.page.wait_for_timeout(500)
    assert room.text().count("^[[I") <= 2  # once before the reload at most, once after


def test_a_full_screen_program_is_drawn_for_who_comes_later(room: Room, visit: Callable[..., Page]) -> None:
    room.run("seq 1 40 > numbers; vi numbers")
    room.sees("\n20\n")
    later = Room(visit("prof", viewport={"width": 1000, "height": 700}), room.id)
    later.page.goto(f"/sandboxes/{room.id}/")
    expect(later.terminal).to_have_attribute("state", "open")
    wait_for(lambda: re.search("^15 *$", later.text(), re.M), "not drawn", page=later.page)
    later.type(":q\n")
    room.sees("$ ")


def test_drawn_by_a_graphics_card_too(visit: Callable[..., Page], launch: Callable[..., str]) -> None:
    """There is none here; the page is told that there is, and draws through WebGL in software."""
    page = visit("alice")
    page.add_init_script("""
        const kind = WebGL2RenderingContext.prototype;
        const get = kind.getExtension;
        kind.getExtension = function (name) {
            return name === "WEBGL_debug_renderer_info" ? null : get.call(this, name);
        };
    """)
    room = Room(page, launch(page)).enter()
    expect(page.locator(".xterm-screen canvas").first).to_be_attached()
    room.run("seq 1 200; printf '\\033[38;2;250;200;10mcolour\\033[0m\\n'")
    room.sees("\ncolour\n")


def test_colours_are_there_without_a_graphics_card(room: Room) -> None:
    """Under the strict policy, where style attributes are not to be had."""
    room.run("printf '\\033[38;2;250;200;10mcol''our\\033[0m\\n'")
    word = room.page.locator(".xterm-rows span", has_text="colour").last
    expect(word).to_have_css("color", "rgb(250, 200, 10)")


def place(room: Room, line: str) -> tuple[float, float]:
    """Where a line of the screen begins, for a mouse."""
    box = room.page.locator(".xterm-rows > div", has_text=re.compile(line)).bounding_box()
    assert box
    return box["x"] + 20, box["y"] + 6


def test_links_are_followed_in_a_tab_that_knows_nothing_of_us(room: Room) -> None:
    room.run("printf '\\033]8;;http://127.0.0.1:1/real\\033\\\\http://nice.example\\033]8;;\\033\\\\\\n'")
    at = place(room, r"^http://nice\.example$")
    room.page.mouse.move(*at)
    room.page.wait_for_timeout(300)
    room.page.mouse.click(*at)
    dialog = room.page.get_by_role("dialog")
    expect(dialog).to_contain_text("http://127.0.0.1:1/real")
    with room.page.context.expect_page() as opened:
        dialog.get_by_role("button", name="Open").click()
    assert opened.value.evaluate("window.opener") is None
    opened.value.close()


def test_copy_takes_the_selection(room: Room) -> None:
    room.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    room.run("clear; echo copy-me")
    room.sees("copy-me\n")
    room.page.mouse.dblclick(*place(room, "^copy-me"))
    room.page.keyboard.press("Control+Shift+C")
    wait_for(
        lambda: clipboard(room.page) == "copy-me",
        "not copied",
        page=room.page,
    )


def test_a_program_cannot_reach_the_clipboard_or_the_title(room: Room) -> None:
    room.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    room.page.evaluate("navigator.clipboard.writeText('mine')")
    title = room.page.title()
    room.run("printf '\\033]52;c;c3RvbGVu\\007\\033]0;other title\\007'; echo done-$((1+1))")
    room.sees("\ndone-2\n")
    assert clipboard(room.page) == "mine"
    assert room.page.title() == title


def test_a_hiccup_while_the_page_loads_costs_no_terminal(
    alice: Page, launch: Callable[..., str], complaints: Any
) -> None:
    complaints.expect("net::ERR", "Failed to fetch")
    failed: list[str] = []

    def fail_once(route: Any) -> None:
        failed.append(route.request.url)
        if len(failed) == 1:
            route.abort()
        else:
            route.continue_()

    alice.route("**/vendor/xterm/xterm.mjs", fail_once)
    Room(alice, launch(alice)).enter()
    assert len(failed) == 2


def test_a_terminal_that_cannot_be_loaded_says_so(
    alice: Page, launch: Callable[..., str], complaints: Any
) -> None:
    complaints.expect("net::ERR", "Failed to fetch")
    sandbox_id = launch(alice)
    alice.route("**/vendor/xterm/xterm.mjs", lambda route: route.abort())
    alice.goto(f"/sandboxes/{sandbox_id}/")
    expect(alice.get_by_role("alert")).to_contain_text("could not be loaded", timeout=30_000)
    alice.unroute("**/vendor/xterm/xterm.mjs")
    alice.get_by_role("button", name="Load the page again").click()
    Room(alice, sandbox_id).ready()
