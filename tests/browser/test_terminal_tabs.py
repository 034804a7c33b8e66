"""Terminals side by side and after their sandbox: what one has open, and what comes when it runs again."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.product import Product
from tests.browser.room import Room, wait_for


def test_a_reload_keeps_every_tab_and_the_one_that_was_shown(room: Room, product: Product) -> None:
    for name in ("two", "three"):
        room.button("New terminal").click()
        expect(room.page.locator(f"#tab-{name}")).to_have_attribute("aria-selected", "true")
        room.ready()
    room.page.locator("#tab-two").click()
    room.run("sleep 7654")
    wait_for(lambda: "sleep 7654" in product.processes(room.id), "it does not run", page=room.page)
    room.page.locator("#tab-three").click()
    room.page.reload()
    room.ready()
    expect(room.page.get_by_role("tab", name="three")).to_have_attribute("aria-selected", "true")
    expect(room.page.get_by_role("tab")).to_have_text(["main", "two", "three✕"])
    room.page.wait_for_timeout(6500)  # longer than a shell without a page goes on
    assert "sleep 7654" in product.processes(room.id)
    room.page.locator("#tab-two").click()
    room.sees("sleep 7654")


def test_a_new_shell_follows_a_restart_and_fills_the_window(room: Room) -> None:
    def filled() -> bool:
        size, room_for = room.page.evaluate("""() => {
            const { size, fit } = document.querySelector("sandbox-terminal").session;
            const { cols, rows } = fit.proposeDimensions();
            return [size, [cols, rows]];
        }""")
        return bool(size == room_for)

    wait_for(filled, "not filled at first", page=room.page)
    room.act("Restart")
    room.sees("This sandbox was restarted by alice. This is a new shell.")
    room.ready().run("echo goes-on-$((1+1))")
    room.sees("\ngoes-on-2\n")
    room.act("Stop")
    room.shows("stopped")
    expect(room.notice).to_contain_text("stopped by alice")
    room.press("Start")
    room.shows("running")
    room.ready()
    expect(room.notice).to_be_hidden()
    wait_for(filled, "the grid stayed small", page=room.page)
