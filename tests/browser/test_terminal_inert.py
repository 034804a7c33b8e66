"""What programs tell the terminal to do, on the real engine: nothing of it leaves the screen."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.browser.product import Product
from tests.browser.room import Room, clipboard
from tests.gates.hostile import TRICKS

ASK = """
stty raw -echo min 0 time 15
printf '\\033[H\\033[2J\\033[?1003h\\033[?1006h\\033[?1004h'
cat tricks
cat > got.$1
printf '\\033[?1003l\\033[?1006l\\033[?1004l'
stty sane
echo asked-$1
"""
"""Prints all tricks, and keeps what is typed until a second and a half have passed without any."""


@pytest.fixture
def tricky(product: Product, room: Room) -> Room:
    """A sandbox with the tricks, and a program that tries them."""
    put(product, room.id, "tricks", "".join(TRICKS).encode())
    put(product, room.id, "ask", ASK.encode())
    return room


def put(product: Product, sandbox_id: str, name: str, data: bytes) -> None:
    made = base64.b64encode(data).decode()
    command = ["sh", "-c", f"echo {made} | base64 -d > /workspace/{name}"]
    assert product.container(sandbox_id).exec_run(command).exit_code == 0


def got(product: Product, sandbox_id: str, number: int) -> bytes:
    """What was typed into the program."""
    found: bytes = product.container(sandbox_id).exec_run(["cat", f"/workspace/got.{number}"]).output
    return found


def typists(product: Product) -> str:
    query = "Event.objects.filter(action='terminal.type').values_list('actor_name', flat=True)"
    return product.tell(f"from sandboxes.models import Event; print(*{query})")


def test_nobodys_browser_types_for_a_program_but_the_owners(
    product: Product, tricky: Room, visit: Callable[..., Page]
) -> None:
    """Staff who look at a student's terminal: no answer, no mouse, no focus of theirs is typed there."""
    alice, before = tricky, typists(product).split()
    alice.run("sh ask 1")
    alice.sees("asked-1")
    staff = Room(visit("prof"), alice.id).enter()
    alice.run("sh ask 2")
    staff.sees("asked-2")
    alice.run("clear; sleep 2; sh ask 3")
    alice.page.goto("about:blank")
    for place in range(6):
        staff.focus()
        staff.page.mouse.move(400 + 10 * place, 400)
        staff.page.wait_for_timeout(400)
    staff.sees("asked-3")
    assert answers(got(product, alice.id, 1))
    assert answers(got(product, alice.id, 2)) == answers(got(product, alice.id, 1))
    assert got(product, alice.id, 3) == b""
    assert typists(product).split() == before
    staff.run("echo by-$((1+1))")
    staff.sees("\nby-2\n")
    assert len(typists(product).split()) == len(before) + 1


def answers(typed: bytes) -> bytes:
    """Without what the mouse and the focus did meanwhile."""
    return re.sub(rb"\x1b\[(<[\d;]+[Mm]|[IO])", b"", typed)


def test_the_clipboard_and_the_title_are_nobodys_but_ours(tricky: Room) -> None:
    page = tricky.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("navigator.clipboard.writeText('mine')")
    title = page.title()
    tricky.run("sh ask 1")
    tricky.sees("asked-1")
    assert clipboard(page) == "mine"
    assert page.title() == title
    assert len(page.context.pages) == 1


def test_links_lead_to_the_web_only(room: Room) -> None:
    room.run("clear")
    for number, to in enumerate(
        ("javascript:alert(1)", "data:text/html,<p>x", "file:///etc/passwd", "vbscript:x")
    ):
        room.run(f"printf '\\033]8;;{to}\\033\\\\link-''{number}\\033]8;;\\033\\\\\\n'")
        room.sees(f"link-{number}")
        box = room.page.locator(".xterm-rows > div", has_text=f"link-{number}").last.bounding_box()
        assert box
        room.page.mouse.move(box["x"] + 20, box["y"] + 6)
        room.page.wait_for_timeout(200)
        room.page.mouse.click(box["x"] + 20, box["y"] + 6)
        room.page.wait_for_timeout(200)
    expect(room.page.get_by_role("dialog")).to_have_count(0)
    assert len(room.page.context.pages) == 1


def test_sequences_without_an_end_are_survived(room: Room) -> None:
    """Many megabytes of parameters, of each kind."""
    for number, begin in enumerate(("[", "[38;2;", "]0;", "]52;c;", "P$q", "_")):
        room.run(f"printf '\\033{begin}'; head -c 6000000 /dev/zero | tr '\\0' '1'; printf '\\030\\033c'")
        room.run(f"echo still-$(({number}+1))")
        room.sees(f"\nstill-{number + 1}\n", patience=60)


def test_bytes_that_are_no_text_are_drawn_the_same_however_they_are_cut(
    alice: Page, launch: Callable[..., str]
) -> None:
    sandbox_id, odd = (
        launch(alice),
        b"<\xff\xfe\xc3\x28\xe2\x82\xf0\x9f\x98\x80\xed\xa0\x80\xf4\x90\x80\x80\xc0\xaf>",
    )
    line = odd + b"\r\n"
    alice.route_web_socket(re.compile("/terminals/"), lambda socket: draw(socket, line))
    room = Room(alice, sandbox_id)
    alice.goto(f"/sandboxes/{sandbox_id}/")
    expect(room.terminal).to_have_attribute("state", "open")
    room.sees("end")
    lines = room.text().splitlines()
    assert lines[-1] == "end"
    assert len(lines) == 2 + len(line)
    assert set(lines[:-1]) == {lines[0]}


def draw(socket: Any, line: bytes) -> None:
    """The line whole, cut in two at each place, and byte by byte."""
    attached = {"type": "attached", "shell": "m_1", "offset": 0, "head": 0, "viewers": 1}
    socket.send(json.dumps(attached | {"cols": 80, "rows": 50}))
    for at in range(len(line)):
        for piece in (line[:at], line[at:]):
            if piece:
                socket.send(piece)
    for at in range(len(line)):
        socket.send(line[at : at + 1])
    socket.send(b"end")


def test_what_is_told_of_the_shell_before_is_text(alice: Page, launch: Callable[..., str]) -> None:
    """A name stands in it, which somebody chose."""

    def through(page_s: WebSocketRoute) -> None:
        server = page_s.connect_to_server()
        page_s.on_message(server.send)
        server.on_message(lambda frame: page_s.send(with_a_name(frame)))

    alice.route_web_socket(re.compile("/terminals/"), through)
    room = Room(alice, launch(alice)).enter()
    room.sees("This sandbox was restarted by")
    assert "restarted by  [2J ]0;mine x" in room.text()
    assert alice.title() != "mine"


def with_a_name(frame: str | bytes) -> str | bytes:
    message = json.loads(frame) if isinstance(frame, str) else {}
    if message.get("type") != "attached":
        return frame
    sentence = "This sandbox was restarted by \x1b[2J\x1b]0;mine\x07x"
    return json.dumps(message | {"before": {"at": "2026-11-29T09:00:00+00:00", "sentence": sentence}})
