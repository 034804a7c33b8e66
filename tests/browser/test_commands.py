"""Commands beside the terminal: both streams live and apart, the exit code, ending one."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from tests.browser.room import Room


def run(room: Room, text: str) -> Any:
    """Run a command and give the article that shows it."""
    room.page.get_by_label("Command", exact=True).fill(text)
    room.page.locator(".run").get_by_role("button", name="Run").click()
    return room.page.locator("#command-open")


def test_streams_come_live_and_apart_then_the_exit_code(room: Room) -> None:
    shown = run(room, "echo first; echo wrong >&2; sleep 2; echo last; exit 3")
    out, err = shown.locator('[data-stream="stdout"]'), shown.locator('[data-stream="stderr"]')
    expect(out).to_have_text("first\n")
    expect(err).to_have_text("wrong\n")
    expect(shown.locator(".badge")).to_contain_text("running")
    expect(shown.locator(".badge")).to_contain_text("exit 3")
    expect(out).to_have_text("first\nlast\n")
    expect(err).to_have_text("wrong\n")
    expect(room.page.locator("#room-commands .badge").first).to_contain_text("exit 3")


def test_a_command_is_ended_on_request(room: Room) -> None:
    shown = run(room, "echo begun; sleep 500")
    expect(shown.locator('[data-stream="stdout"]')).to_have_text("begun\n")
    shown.get_by_role("button", name="End it").click()
    expect(shown.locator(".badge")).not_to_contain_text("running")
    expect(shown.locator('[data-stream="stdout"]')).to_have_text("begun\n")


def test_much_output_does_not_choke_the_page(room: Room) -> None:
    shown = run(room, "seq 1 300000; sleep 1; echo the-end")
    out = shown.locator('[data-stream="stdout"]')
    expect(shown.locator(".badge")).to_contain_text("exit 0", timeout=30_000)
    expect(out).to_contain_text("the-end")
    room.run("echo terminal-is-fine")
    room.sees("\nterminal-is-fine\n")


def test_run_again_and_look_back(room: Room) -> None:
    shown = run(room, "echo once-$((1+0))")
    expect(shown.locator(".badge")).to_contain_text("exit 0")
    first = shown.get_attribute("data-command")
    shown.get_by_role("button", name="Run again").click()
    expect(shown).not_to_have_attribute("data-command", first or "")
    expect(room.page.locator("#room-commands li")).to_have_count(2)
    expect(shown.locator(".badge")).to_contain_text("exit 0")
    run(room, "false")
    expect(shown.locator(".badge")).to_contain_text("exit 1")
    room.page.locator("#room-commands li").last.get_by_role("link").click()
    expect(shown.locator('[data-stream="stdout"]')).to_have_text("once-1\n")


def test_empty_and_paused_are_refused_where_they_came_from(room: Room, complaints: Any) -> None:
    complaints.expect("status of 422")
    room.page.locator(".run").get_by_role("button", name="Run").click()
    expect(room.page.locator("#refusal")).not_to_be_empty()
    room.press("Pause")
    room.shows("paused")
    run(room, "echo now")
    refusal = room.page.locator("#refusal")
    expect(refusal.get_by_role("button", name="Resume")).to_be_visible()


def test_an_answer_finds_its_place_though_the_page_changes_meanwhile(room: Room) -> None:
    """ "Run again" is on its way while a nudge brings the article anew."""
    shown = run(room, "echo once-$((1+0))")
    expect(shown.locator(".badge")).to_contain_text("exit 0")
    first = shown.get_attribute("data-command")
    room.page.route("**/rerun/", lambda route: (room.page.wait_for_timeout(1500), route.continue_()))
    shown.get_by_role("button", name="Run again").click()
    room.page.evaluate("htmx.trigger('#command-open', 'refresh')")
    expect(shown).not_to_have_attribute("data-command", first or "")
    expect(shown.locator('[data-stream="stdout"]')).to_have_text("once-1\n")


def test_a_command_looked_back_at_opens_though_the_open_one_changes_meanwhile(room: Room) -> None:
    """The link is in the list, what it fills is beside it: a nudge must not take the place away."""
    shown = run(room, "echo once-$((1+0))")
    expect(shown.locator(".badge")).to_contain_text("exit 0")
    first = shown.get_attribute("data-command") or ""
    run(room, "false")
    expect(shown.locator(".badge")).to_contain_text("exit 1")
    late = f"**/commands/{first}/"
    room.page.route(late, lambda route: (room.page.wait_for_timeout(1500), route.continue_()))
    room.page.locator(f'[data-command-row="{first}"]').click()
    room.page.evaluate("htmx.trigger('#command-open', 'refresh')")
    expect(shown.locator('[data-stream="stdout"]')).to_have_text("once-1\n")
