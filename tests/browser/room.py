"""What a person does on the pages, in words: sign in, launch, enter, type, see."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from tests.browser.product import PASSWORD

PATIENCE = 15.0  # seconds
DROPPED = "net::ERR_NETWORK_CHANGED"
"""Of what the browser is fetching while a bridge comes or goes on this machine, which engine tests see to."""


def wait_for(
    fact: Callable[[], object], what: str, patience: float = PATIENCE, page: Page | None = None
) -> None:
    """Wait until ``fact()`` is true; the page's own script policy forbids Playwright's way.

    With ``page``, time passes inside of Playwright, so that what pages send is taken in.
    """
    end = time.monotonic() + patience
    while not fact():
        assert time.monotonic() < end, what() if callable(what) else what
        if page:
            page.wait_for_timeout(50)
        else:
            time.sleep(0.05)


def come_in(page: Page, name: str) -> None:
    """Signed in by what the form sends, which is not drawn (test_signin.py does); then on the list."""
    token = found(r'name="csrfmiddlewaretoken" value="([^"]*)"', page.request.get("/sign-in/").text())
    form = {"csrfmiddlewaretoken": token, "username": name, "password": PASSWORD}
    page.request.post("/sign-in/", form=form, max_redirects=0)
    page.goto("/sandboxes/")
    page.wait_for_url("**/sandboxes/")


def launched(page: Page, **fields: str) -> str:
    """Launch from the starter image without looking at the form; the id, once it runs."""
    form = page.request.get("/sandboxes/new/").text()
    values = {
        name: found(rf'name="{name}" value="([^"]*)"', form) for name in ("csrfmiddlewaretoken", "launch_key")
    }
    image = found(r'name="image" value="(\d+)"(?:(?!</label>).)*<b>Starter</b>', form)
    answer = page.request.post(
        "/sandboxes/new/",
        form={**values, "image": image, "memory": "64m", "network": "none", **fields},
        headers={"Referer": answer_url(page)},
    )
    sandbox_id = found(r"/sandboxes/(sb_\w+)/", answer.url)
    wait_for(lambda: status(page, sandbox_id) == "running", "it did not start")
    return sandbox_id


def status(page: Page, sandbox_id: str) -> str:
    """What the server says of a sandbox now, whatever the page shows."""
    answer = page.request.get(f"/sandboxes/{sandbox_id}/part/header/")
    return found(r'data-status="(\w+)"', answer.text())


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.DOTALL)
    assert match, f"no {pattern} in {text[:2000]}"
    return match.group(1)


def clipboard(page: Page) -> str:
    """What was copied. Our own pages may not read it, so it is asked for beside them."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    beside = page.context.new_page()
    beside.route("**/beside/", lambda route: route.fulfill(body="<p>beside</p>", content_type="text/html"))
    beside.goto("/beside/")
    beside.bring_to_front()
    text: str = beside.evaluate("navigator.clipboard.readText()")
    beside.close()
    page.bring_to_front()
    return text


def answer_url(page: Page) -> str:
    return page.request.get("/sandboxes/").url


class Room:
    """One sandbox's page in one browser."""

    def __init__(self, page: Page, sandbox_id: str) -> None:
        self.page = page
        self.id = sandbox_id

    @property
    def terminal(self) -> Locator:
        return self.page.locator("sandbox-terminal")

    @property
    def notice(self) -> Locator:
        return self.page.locator("[data-notice]")

    def enter(self) -> Room:
        """Open the page and wait for a prompt. Who lost a script to the network opens it again."""
        lost: list[str] = []
        self.page.on("requestfailed", lambda request: lost.append(request.failure or ""))
        for _ in range(3):
            lost.clear()
            self.page.goto(f"/sandboxes/{self.id}/")
            if DROPPED not in lost:
                break
        return self.ready()

    def ready(self) -> Room:
        expect(self.terminal).to_have_attribute("state", "open")
        self.sees("$")
        return self

    def text(self) -> str:
        """The text of the terminal that is shown."""
        text: str = self.page.evaluate("document.querySelector('sandbox-terminal').text()")
        return text

    def focus(self) -> None:
        self.page.locator("[data-screen] > :not([data-off]) .xterm-screen").click()

    def type(self, text: str) -> None:
        """Press the keys of a text; a newline is Enter."""
        self.focus()
        self.page.keyboard.type(text)

    def run(self, line: str) -> None:
        self.type(f"{line}\n")

    def sees(self, text: str, patience: float = PATIENCE) -> None:
        wait_for(lambda: text in self.text(), lambda: f"no {text!r} in {self.text()!r}", patience, self.page)

    def press(self, name: str) -> None:
        """A button of the header."""
        self.page.locator("#room-header").get_by_role("button", name=name, exact=True).click()

    def act(self, name: str) -> None:
        """A button of the header or of its menu, and yes to what it asks."""
        header, dialog = self.page.locator("#room-header"), self.page.get_by_role("dialog")
        button = header.get_by_role("button", name=name, exact=True)
        if not button.is_visible():
            header.get_by_label("More actions").click()
        button.click()
        dialog.get_by_role("button", name=name, exact=True).click()

    def shows(self, word: str, patience: float = PATIENCE) -> None:
        """The badge in the header says so."""
        badge = self.page.locator("#room-header .badge")
        expect(badge).to_contain_text(word, timeout=patience * 1000)

    def button(self, name: str) -> Locator:
        return self.terminal.get_by_role("button", name=name, exact=True)
