"""A class comes in: from the roster to a working terminal by a personal link, and a guest by the code."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.product import PASSWORD, Product

ROSTER = """Nachname;Vorname;E-Mail;Gruppe
Lund;Ada;ada@example.org;A
Okafor;Ben;ben@example.org;B
=cmd();X;x@example.org;A
"""
SEED = f"""
from sandboxes.labs import members
from sandboxes.lifecycle import audit
from sandboxes.models import User
user = User.objects.create_user("eva-%(tag)s", password={PASSWORD!r})
values = {{"title": "Networks %(tag)s", "typing": "ask", "assistants_act": True, "guests_allowed": True}}
print(members.create(user, audit.Origin.of(user), values).pk)
"""
OPEN = """
from datetime import timedelta
from django.utils import timezone
from sandboxes.labs import opening
from sandboxes.labs.models import *
from sandboxes.lifecycle import audit
from sandboxes.models import Image
template = LabTemplate.objects.create(course_id=%r, title="Shell basics")
version = TemplateVersion.objects.create(
    template=template, number=1, image=Image.objects.get(title="Starter"), memory=64 << 20, pids=128,
    sheet="# S\\n\\n## One\\n\\nA.\\n")
lab = opening.make(version, "Shell basics", closes_at=timezone.now() + timedelta(hours=1), by=audit.SYSTEM)
opening.open_lab(lab, audit.SYSTEM)
"""
ASK = """(path) => new Promise((done) => {
  const socket = new WebSocket(path);
  socket.onmessage = (event) => done(JSON.parse(event.data).code ?? "data");
  socket.onclose = (event) => done(`closed ${event.code}`);
})"""


class Class:
    """A course, its instructor's browser, and a lab that is open."""

    def __init__(self, product: Product, visit: Callable[..., Page], tag: str) -> None:
        self.product, self.visit = product, visit
        self.pk = product.tell(SEED % {"tag": tag}).strip()
        self.page = visit(f"eva-{tag}")

    def apply(self, text: str) -> None:
        self.page.goto(f"/courses/{self.pk}/people/roster/")
        self.page.get_by_label("Paste it").fill(text)
        self.page.get_by_role("button", name="See what changes").click()
        expect(self.page.get_by_text("line 4")).to_be_visible()
        self.page.get_by_role("button", name="Apply").click()
        self.page.wait_for_url("**/people/")

    def link(self, name: str) -> str:
        self.page.goto(f"/courses/{self.pk}/people/")
        self.page.get_by_role("link", name=name).click()
        return self.page.get_by_role("textbox", name="Personal link").input_value()

    def open_lab(self) -> None:
        self.product.tell(OPEN % self.pk)


@pytest.fixture
def room(product: Product, visit: Callable[..., Page], request: pytest.FixtureRequest) -> Class:
    return Class(product, visit, f"{abs(hash(request.node.name)) % 9999}")


def sit(page: Page) -> str:
    """Take a seat from the course's page; gives the id of its sandbox once its terminal is open."""
    page.get_by_role("link", name=re.compile("seat", re.I)).click()
    if page.get_by_role("button", name="Take my seat").is_visible():
        page.get_by_role("button", name="Take my seat").click()
    expect(page.locator("sandbox-terminal")).to_have_attribute("state", "open", timeout=60_000)
    return page.locator("sandbox-live").get_attribute("sandbox") or ""


def ask(page: Page, path: str) -> Any:
    return page.evaluate(ASK, page.url.replace("http", "ws").split("/seats/")[0] + path)


def test_from_the_roster_to_a_terminal_by_a_personal_link(room, visit, complaints):
    complaints.expect("status of 403")
    room.apply(ROSTER)
    ada, ben = visit(None), visit(None)
    links = {"Ada Lund": ada, "Ben Okafor": ben}
    for name, page in links.items():
        page.goto(room.link(name))
        expect(page.get_by_role("heading")).to_contain_text(name)
        page.get_by_role("button", name="Go to the course").click()
        page.wait_for_url(f"**/courses/{room.pk}/")
    room.open_lab()
    ada.reload()
    ben.reload()
    mine, theirs = sit(ada), sit(ben)
    assert ask(ada, f"/ws/sandboxes/{mine}/") == "data"
    assert ask(ada, f"/ws/sandboxes/{theirs}/") == "not_found"
    assert ask(ada, f"/ws/sandboxes/{theirs}/terminals/main/") == "not_found"
    ada.goto("/sandboxes/new/")
    expect(ada.get_by_role("heading")).to_contain_text("You are here for")


def test_a_guest_comes_in_by_the_code_from_the_projector(room, visit, complaints):
    complaints.expect("status of 422")
    room.page.goto(f"/courses/{room.pk}/join/")
    room.page.get_by_role("button", name="Make a code").click()
    room.page.get_by_role("link", name="Show it large").click()
    code = room.page.locator(".projector .code").inner_text()
    guest = visit(None)
    guest.goto("/join/")
    guest.get_by_label("Class code").fill(code.lower())
    guest.get_by_role("button", name="Go on").click()
    guest.get_by_label("Your name").fill("Greta")
    guest.get_by_role("button", name="Come in as a guest").click()
    guest.wait_for_url(f"**/courses/{room.pk}/")
    expect(guest.locator(".subline")).to_contain_text("Greta, a guest")
    other = visit(None)
    other.goto(f"/join/?code={code.replace(' ', '')}")
    other.get_by_role("button", name="Go on").click()
    other.get_by_label("Your name").fill("GRETA")
    other.get_by_role("button", name="Come in as a guest").click()
    expect(other.get_by_role("alert")).to_contain_text("choose another name")


def test_renewing_a_link_asks_first_and_shows_out_who_came_by_it(room, visit, complaints):
    complaints.expect("status of 410")
    room.apply(ROSTER)
    link, ada = room.link("Ada Lund"), visit(None)
    ada.goto(link)
    ada.get_by_role("button", name="Go to the course").click()
    ada.wait_for_url(f"**/courses/{room.pk}/")
    room.page.get_by_role("button", name="Renew").click()
    room.page.locator("dialog[open]").get_by_role("button", name="Renew").click()
    expect(room.page.locator(".messages, #toasts")).to_contain_text(["new link"])
    ada.reload()
    ada.wait_for_url(re.compile("/sign-in/"))
    ada.goto(link)
    expect(ada.get_by_role("heading")).to_have_text("This link does not work any more")
