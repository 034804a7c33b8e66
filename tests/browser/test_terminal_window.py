"""A terminal and what happens around it: the whole screen, a lid that is shut and opened."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from tests.browser.room import Room, wait_for

SIZE = """(() => {
    const { rows, cols } = document.querySelector("sandbox-terminal").session.terminal;
    return [rows, cols];
})()"""
LID = "(() => { const now = Date.now.bind(Date); Date.now = () => now() + 120_000; })()"
WITHOUT = "void (Element.prototype.requestFullscreen = () => Promise.reject(new TypeError('not here')))"


def inside(room: Room) -> tuple[int, int]:
    """Rows and columns, as the page draws them."""
    rows, columns = room.page.evaluate(SIZE)
    return rows, columns


def fills_the_window(room: Room) -> None:
    box = room.terminal.bounding_box()
    size = room.page.viewport_size
    assert box
    assert size
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, size["width"], size["height"])


def grows_and_comes_back(room: Room) -> None:
    """The shell itself is told both sizes, and what was on the screen stays."""
    room.run("echo kept-$((6*7))")
    room.sees("\nkept-42\n")
    small = inside(room)
    room.button("Full screen").click()
    wait_for(
        lambda: inside(room)[0] > small[0] and inside(room)[1] > small[1], "it did not grow", page=room.page
    )
    fills_the_window(room)
    rows, columns = inside(room)
    room.page.keyboard.type("stty size\n")  # the keys go to the shell without another click
    room.sees(f"\n{rows} {columns}\n")
    room.button("Full screen").click()
    wait_for(lambda: inside(room) == small, "it did not shrink", page=room.page)
    room.run("stty size")
    room.sees(f"\n{small[0]} {small[1]}\n")
    assert "kept-42" in room.text()


def test_the_whole_screen(room: Room) -> None:
    grows_and_comes_back(room)


def test_the_whole_window_where_a_browser_has_no_full_screen(room: Room) -> None:
    room.page.evaluate(WITHOUT)
    grows_and_comes_back(room)


def test_a_lid_that_was_shut_costs_nothing(room: Room, complaints: Any) -> None:
    """After a hole in time the page trusts no socket: it takes a new one and misses no byte."""
    opened: list[str] = []
    room.page.on("websocket", lambda socket: opened.append(socket.url))
    room.run("echo before-$((20+3))")
    room.sees("\nbefore-23\n")
    room.page.evaluate(LID)
    wait_for(lambda: any("terminals" in one for one in opened), "no new socket", 30, room.page)
    expect(room.terminal).to_have_attribute("state", "open")
    room.run("echo after-$((20+3))")
    room.sees("\nafter-23\n")
    assert room.text().count("\nbefore-23\n") == 1
