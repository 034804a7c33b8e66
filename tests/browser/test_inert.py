"""Hostile text wherever a page shows somebody's text, in a real browser: it stays text.

The pages are the project's, served from this process with the engine in memory and the world of the gates;
what their sockets say is made up, as hostile as the rest. One half of the rounds is with the policy of
the pages switched off, so that nothing is inert only because the policy forbids it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.staticfiles.handlers import StaticFilesHandler
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser import hostile_sockets
from tests.browser.conftest import TELL
from tests.conftest import stage  # noqa: F401  # the fast tests' stage
from tests.faults.conftest import FULL
from tests.gates import hostile
from tests.gates import world as worlds
from tests.gates.hostile import MARK, PAYLOADS, Pen
from tests.gates.world import World

pytestmark = pytest.mark.django_db(transaction=True)

ALIVE = (Path(__file__).parent / "alive.js").read_text()
"""Everything on a page that is not as its templates made it."""


FORMS = (Path(__file__).parent / "forms.js").read_text()
"""The forms in which something is written, each by what it asks for; or one of them sent."""


class Watch:
    """What pages did that no page of ours does."""

    def __init__(self, context: BrowserContext, home: str) -> None:
        self.seen: list[str] = []
        self.home = urlsplit(home).netloc
        context.expose_binding(MARK, lambda *_: self.seen.append("a script ran"))
        context.on("dialog", self._asked)
        context.on("request", self._requested)
        context.on("page", lambda page: page.on("console", self._said))
        context.add_init_script(TELL)

    def _asked(self, dialog: Any) -> None:
        self.seen.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def _requested(self, request: Any) -> None:
        where = urlsplit(request.url)
        is_ours = where.netloc == self.home and MARK not in where.path
        if not is_ours and where.scheme not in ("data", "blob"):
            self.seen.append(f"a request: {request.url}")

    def _said(self, message: Any) -> None:
        if message.type == "error" and message.text.startswith("CSP"):
            self.seen.append(f"the policy held it: {message.text}")


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser may keep scripts and styles, as with an installed site."""
    real = StaticFilesHandler.serve

    def serve(self: Any, request: Any) -> Any:
        answer = real(self, request)
        answer.headers["Cache-Control"] = "max-age=600"
        return answer

    monkeypatch.setattr(StaticFilesHandler, "serve", serve)


@pytest.fixture
def world(engine: Any, image: Any) -> World:
    made = worlds.build(image)
    hostile.furnish(made)
    return made


Open = Callable[[str, bool], tuple[Page, Watch]]


@pytest.fixture
def open_page(browser: Browser, live_server: Any, world: World, kept: None) -> Iterator[Open]:
    """``open_page(role, guarded)``: a page of this role's browser, with or without the pages' own policy."""
    made: dict[tuple[str, bool], tuple[Page, Watch]] = {}

    def opened(role: str, guarded: bool) -> tuple[Page, Watch]:
        if (role, guarded) not in made:
            context = browser.new_context(base_url=live_server.url, bypass_csp=not guarded)
            session = world.browser(role).cookies.get("sessionid")
            if session is not None:
                context.add_cookies([{"name": "sessionid", "value": session.value, "url": live_server.url}])
            hostile_sockets.play(context, Pen())
            watch = Watch(context, live_server.url)
            made[role, guarded] = context.new_page(), watch
        return made[role, guarded]

    yield opened
    for page, _ in made.values():
        page.context.close()


def visit(page: Page, watch: Watch, path: str) -> tuple[list[str], bool]:
    """What came alive on a page, and whether the text was there at all."""
    watch.seen.clear()
    page.goto(path, wait_until="load")
    found, is_shown, where = page.evaluate(ALIVE, MARK)
    seen = [f"{path}: {one}" for one in [*found, *watch.seen]]
    if MARK in where:
        seen.append(f"{path}: it was led to {where}")
    return seen, is_shown


def send_forms(page: Page, watch: Watch, path: str, known: set[str]) -> list[str]:
    """Send each form of a page that is not known yet, with all payloads in each field; what came alive."""
    alive = []
    for sign in page.evaluate(FORMS):
        if sign not in known:
            page.goto(path, wait_until="load")
            there = page.evaluate(FORMS)
            if sign not in there:  # what was sent before it took it away
                continue
            known.add(sign)
            with page.expect_navigation(wait_until="load"):
                page.evaluate(FORMS, [there.index(sign), "".join(PAYLOADS)])
            alive += [f"{path}, sent: {one}" for one in [*page.evaluate(ALIVE, MARK)[0], *watch.seen]]
    return alive


def test_what_anybody_writes_stays_text_in_a_browser(open_page: Open, world: World) -> None:
    """Each page, with as many payloads as its columns take, and what its forms answer to all of them.

    Full: until each column of 100 characters or more has had every one.
    """
    pen, alive, shown, rounds = Pen(), [], 0, 0
    known: set[str] = set()
    while rounds < 1 or (FULL and not pen.is_done):
        hostile.write(world, pen)
        for place, (role, path) in enumerate(hostile.pages(world)):
            page, watch = open_page(role, (rounds + place) % 2 == 1)
            seen, is_shown = visit(page, watch, path)
            alive += seen + send_forms(page, watch, path, known)
            shown += is_shown
        rounds += 1
    print(f"{rounds} rounds, {shown} pages with text of {len(PAYLOADS)} payloads, {len(known)} forms")
    assert alive == []
    assert shown > 50 * rounds
    assert len(known) > 15


def test_the_browser_notices_what_it_is_for(open_page: Open, live_server: Any) -> None:
    """A check that finds nothing anywhere would prove nothing."""
    page, watch = open_page("anonymous", False)
    page.goto("/sign-in/")
    noticed = 0
    for payload in PAYLOADS:
        watch.seen.clear()
        made = json.dumps(f"<div id=x>{payload}</div><a title=\"{payload}\">x</a><a title='{payload}'>x</a>")
        page.evaluate(f"document.body.innerHTML = {made}")
        with contextlib.suppress(Exception):  # one that led away
            noticed += bool(page.evaluate(ALIVE, MARK)[0] or watch.seen)
    assert noticed > 40
