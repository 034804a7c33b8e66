"""The terminal belongs to the server: what happens to a page does not happen to the shell."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.product import Product
from tests.browser.proxy import wire
from tests.browser.room import Room, wait_for


def test_launch_and_type(alice: Page, product: Product) -> None:
    """The whole of it by hand: the form, the page that follows, the prompt, a command."""
    alice.get_by_role("link", name="Launch sandbox").click()
    alice.get_by_label("Name", exact=True).fill("first-steps")
    alice.get_by_role("button", name="Launch", exact=True).click()
    alice.wait_for_url(re.compile(r"/sandboxes/sb_\w+/$"))
    room = Room(alice, alice.url.rstrip("/").rpartition("/")[2])
    room.shows("running")
    room.ready().run("echo $((6*7)) > answer && cat answer")
    room.sees("\n42\n")
    product.container(room.id).remove(force=True)


def test_every_character_comes_back_whole(room: Room) -> None:
    room.run(
        "printf 'h\\303\\251llo \\346\\227\\245\\346\\234\\254 \\360\\237\\216\\211 \\342\\200\\224 end\\n'"
    )
    room.sees("\nhéllo 日本 🎉 — end\n")


def test_reload_keeps_the_screen_and_what_runs(room: Room) -> None:
    room.run("A=kept; echo on-the-screen")
    room.sees("\non-the-screen\n")
    before = room.text()
    room.page.reload()
    room.ready()
    room.sees(before)
    room.run("echo $A-$A")
    room.sees("\nkept-kept\n")
    assert room.text().startswith(before)


def test_two_viewers_share_one_shell(room: Room, visit: Callable[..., Page]) -> None:
    room.run("echo said-by-alice")
    room.sees("\nsaid-by-alice\n")
    prof = Room(visit("prof", viewport={"width": 900, "height": 700}), room.id).enter()
    prof.sees("\nsaid-by-alice\n")
    prof.run("echo said-by-prof")
    room.sees("\nsaid-by-prof\n")
    expect(room.page.locator("[data-viewers]")).to_have_text("2 watching")
    expect(room.terminal).to_have_attribute("data-boxed", "")
    prof.page.close()
    expect(room.page.locator("[data-viewers]")).to_have_text("")
    expect(room.terminal).not_to_have_attribute("data-boxed", "")


def test_questions_are_answered_once_and_not_on_replay(room: Room, visit: Callable[..., Page]) -> None:
    """Two pages and a reload, each of which could answer "who are you?" into the shell."""
    prof = Room(visit("prof"), room.id).enter()
    asked = r"printf '\033[c\033]11;?\033\\'"
    room.run(rf"stty raw -echo; {asked}; timeout 2 cat > got; stty sane; clear; tr -d '\033' < got; echo")
    room.sees("[?1;2c]11;rgb:0c0c/0f0f/1414\\\n")
    room.page.reload()
    room.ready()
    prof.page.reload()
    prof.ready()
    room.run("echo quiet-now")
    room.sees("$ echo quiet-now\nquiet-now\n")
    assert room.text().count("?1;2c") == 1, room.text()


def test_window_size_reaches_the_shell(room: Room) -> None:
    def columns(mark: str) -> int:
        room.run(f"echo {mark}=$(stty size)")
        wait_for(lambda: re.search(rf"^{mark}=\d+ \d+$", room.text(), re.M), "no size", page=room.page)
        rows, cols = re.findall(rf"^{mark}=(\d+) (\d+)$", room.text(), re.M)[0]
        expect(room.page.locator("[data-size]")).to_have_text(f"{cols}×{rows}")
        return int(cols)

    wide = columns("wide")
    shown = room.page.locator("[data-size]").inner_text()
    room.page.set_viewport_size({"width": 800, "height": 900})
    expect(room.page.locator("[data-size]")).not_to_have_text(shown)
    assert columns("narrow") < wide


def test_pause_while_typing_shows_it_on_resume(room: Room) -> None:
    room.press("Pause")
    room.shows("paused")
    expect(room.terminal).to_have_attribute("state", "paused")
    room.run("echo typed-while-$((40+2))")
    room.page.wait_for_timeout(500)
    assert "typed-while-42" not in room.text()
    room.press("Resume")
    room.shows("running")
    room.sees("typed-while-42")


def test_a_cut_connection_loses_and_doubles_nothing(
    product: Product, visit: Callable[..., Page], launch: Callable[..., str], complaints: Any
) -> None:
    complaints.expect("WebSocket connection", "net::ERR", "Failed to load")
    with wire(product.port) as line:
        page = visit("alice", base_url=f"http://127.0.0.1:{line.port}")
        room = Room(page, launch(page)).enter()
        room.run("for i in $(seq 1 60); do echo line-$i; sleep 0.1; done")
        room.sees("line-10\n")
        line.cut()
        expect(room.notice).to_contain_text("The shell goes on for 5 s without this page")
        page.wait_for_timeout(1500)
        line.mend()
        room.sees("line-60\n", patience=30)
    found = re.findall(r"^line-(\d+)$", room.text(), re.M)
    assert found == [str(number) for number in range(1, 61)]


def test_a_flood_is_drawn_and_can_be_stopped(room: Room) -> None:
    room.run("yes flood")
    room.sees("flood\nflood")
    room.page.wait_for_timeout(2000)
    room.page.keyboard.press("Control+c")
    room.page.wait_for_timeout(200)
    room.run("echo calm-again")
    room.sees("\ncalm-again\n")


def test_closing_a_terminal_ends_its_processes(room: Room, product: Product) -> None:
    room.button("New terminal").click()
    expect(room.page.locator("#tab-two")).to_have_attribute("aria-selected", "true")
    room.ready()
    room.run("sleep 7777 & sleep 8888")
    wait_for(lambda: "sleep 8888" in product.processes(room.id), "it does not run", page=room.page)
    room.page.locator("#tab-two .tab-close").click()
    room.page.get_by_role("button", name="Close", exact=True).click()
    expect(room.page.locator("#tab-two")).to_have_count(0)
    expect(room.page.locator("#tab-main")).to_have_attribute("aria-selected", "true")
    wait_for(lambda: not re.search("sleep [78]{4}", product.processes(room.id)), "they go on", 2.5, room.page)


def test_a_terminal_is_closed_by_keyboard_and_by_the_menu(room: Room) -> None:
    for name in ("two", "three"):
        room.button("New terminal").click()
        expect(room.page.locator(f"#tab-{name}")).to_have_attribute("aria-selected", "true")
        room.ready()
    close = room.page.get_by_role("dialog").get_by_role("button", name="Close", exact=True)
    room.page.keyboard.press("Shift+F6")
    room.page.keyboard.press("Delete")
    close.click()
    expect(room.page.locator("#tab-three")).to_have_count(0)
    room.page.get_by_label("More of the terminal").click()
    room.button("Close this terminal").click()
    close.click()
    expect(room.page.get_by_role("tab")).to_have_count(1)


def test_a_tablist_owns_nothing_but_tabs(room: Room) -> None:
    tabs = room.page.get_by_role("tablist", name="Terminals")
    expect(tabs.get_by_role("tab", name="main", exact=True)).to_be_visible()
    assert tabs.evaluate("list => [...list.children].every(one => one.role === 'tab')")
    assert tabs.locator("button button, a, [tabindex] [tabindex]").count() == 0


def test_exit_says_so_and_offers_a_new_shell(room: Room) -> None:
    room.run("exit 3")
    expect(room.notice).to_contain_text("exit code 3")
    room.button("New shell").click()
    room.ready()
    room.run("echo new-$((1+1))")
    room.sees("\nnew-2\n")


def test_find_in_the_terminal(room: Room) -> None:
    room.run("clear; seq 1 300")
    room.sees("\n300\n")
    room.page.keyboard.press("Control+Shift+F")
    field = room.page.get_by_placeholder("Find in the terminal")
    expect(field).to_be_focused()
    field.fill("29")
    expect(room.page.locator("[data-find-count]")).to_contain_text(re.compile(r"^\d+ of 13$"))
    field.fill("no such thing")
    expect(room.page.locator("[data-find-count]")).to_have_text("no match")
    field.press("Escape")
    expect(field).to_be_hidden()
    room.page.keyboard.type("echo focus-is-back\n")
    room.sees("\nfocus-is-back\n")


def paste(room: Room, text: str) -> None:
    room.focus()
    room.page.evaluate(
        """text => {
            const data = new DataTransfer();
            data.setData("text/plain", text);
            const how = { clipboardData: data, bubbles: true, cancelable: true };
            document.activeElement.dispatchEvent(new ClipboardEvent("paste", how));
        }""",
        text,
    )


def test_many_lines_are_pasted_only_when_wanted(room: Room) -> None:
    lines = "".join(f"echo pasted-{number}\n" for number in range(8))
    paste(room, lines)
    dialog = room.page.get_by_role("dialog")
    expect(dialog).to_contain_text("Paste 8 lines?")
    dialog.get_by_role("button", name="Cancel").click()
    paste(room, "echo one-line\n")
    room.sees("\none-line\n")
    assert "pasted-0" not in room.text()
    paste(room, lines)
    dialog.get_by_role("button", name="Paste").click()
    room.sees("\npasted-7\n")


@pytest.mark.parametrize("size", [200_000, 1_048_576])
def test_a_long_paste_arrives_whole(room: Room, size: int) -> None:
    """Larger than one frame may be, and than what is read at once; `head` reads it in raw mode."""
    room.run(f"stty raw -echo; head -c {size} | md5sum; stty sane")
    room.page.wait_for_timeout(500)
    text = ("0123456789" * (size // 10 + 1))[:size]
    paste(room, text)
    room.sees(hashlib.md5(text.encode()).hexdigest(), patience=60)


def test_font_size_is_remembered(room: Room) -> None:
    before = room.page.locator("[data-size]").inner_text()
    room.button("Larger text").click()
    expect(room.page.locator("[data-size]")).not_to_have_text(before)
    larger = room.page.locator("[data-size]").inner_text()
    room.page.reload()
    room.ready()
    expect(room.page.locator("[data-size]")).to_have_text(larger)


def test_keyboard_alone_gets_out_of_the_terminal(room: Room) -> None:
    room.focus()
    room.page.keyboard.press("Tab")  # goes to the shell
    room.page.keyboard.press("Shift+F6")
    expect(room.page.locator("#tab-main")).to_be_focused()


def test_keys_for_a_phone(visit: Callable[..., Page], launch: Callable[..., str]) -> None:
    page = visit("alice", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    room = Room(page, launch(page)).enter()
    room.run("sleep 1000")
    room.button("Ctrl").click()
    page.keyboard.type("c")
    room.run("echo interrupted-$((2+3))")
    room.sees("\ninterrupted-5\n")
    room.button("Up").click()
    page.keyboard.type("\n")
    wait_for(lambda: room.text().count("\ninterrupted-5\n") == 2, "no history", page=page)


def test_text_is_there_for_a_screen_reader(room: Room) -> None:
    room.terminal.get_by_label("More of the terminal").click()
    room.button("Screen reader mode").click()
    room.run("echo read-me-out")
    expect(room.page.locator(".xterm-accessibility")).to_contain_text("read-me-out")
