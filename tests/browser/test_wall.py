"""The room with several people at once: the wall lives, help with consent, a command for everyone."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from django.template.loader import render_to_string
from playwright.sync_api import Page, expect

from sandboxes.labs import tiles
from tests.browser.product import PASSWORD, Product
from tests.browser.room import wait_for

SEED = f"""
from datetime import timedelta
from django.utils import timezone
from sandboxes.labs import opening
from sandboxes.labs.models import *
from sandboxes.lifecycle import audit
from sandboxes.models import Image, User
course = Course.objects.create(title="Operating systems")
def person(name, shown, role):
    user = User.objects.filter(username=name).first() or User.objects.create_user(name, password={PASSWORD!r})
    Enrollment.objects.create(course=course, user=user, role=role, name=shown, section="AB"[len(shown) %% 2])
person("ines", "Ines Roth", "instructor")
names = "Ada Lund,Ben Okafor,Chiara Rossi,Deniz Kaya,Eva Novak,Finn Berg".split(",")
for number in range(%(students)d):
    person(f"s{{number}}", names[number], "student")
template = LabTemplate.objects.create(course=course, title="Shell basics")
sheet = "# Shell\\n\\n" + "".join(f"## Step {{one}}\\n\\nText.\\n\\n" for one in range(1, 4))
image = Image.objects.get(title="Starter")
version = TemplateVersion.objects.create(
    template=template, number=1, image=image, memory=64 << 20, pids=128, sheet=sheet)
template.published = version
template.save()
by = audit.Origin("user", name="ines")
lab = opening.make(version, "Shell basics", closes_at=timezone.now() + timedelta(hours=1), by=by)
opening.open_lab(lab, by)
print(lab.pk, *lab.seats.order_by("enrollment__user__username").values_list("pk", flat=True))
"""
LATE = f"""
from sandboxes.labs import seats
from sandboxes.labs.models import *
from sandboxes.models import User
lab = Lab.objects.get(pk=%r)
user = User.objects.create_user("late-" + lab.pk, password={PASSWORD!r})
Enrollment.objects.create(course=lab.course, user=user, role="student", name="Late " * 12)
seats.queue_all(lab)
"""
NOW = 1_800_000_000
CLOSE = """
from sandboxes.labs import opening
from sandboxes.labs.models import Lab
from sandboxes.lifecycle import audit
opening.close_lab(Lab.objects.get(pk=%r), audit.SYSTEM)
"""


class Classroom:
    """A lab with two students, and browsers for everybody."""

    def __init__(self, product: Product, visit: Callable[..., Page]) -> None:
        self.product, self.visit = product, visit
        self.lab, *self.seats = product.tell(SEED % {"students": 2}).split()

    def wall(self, name: str = "ines") -> Page:
        page = self.visit(name)
        page.goto(f"/labs/{self.lab}/wall/")
        running = page.locator('.tile-status[data-status="running"]')
        expect(running).to_have_count(2, timeout=30_000)
        return page

    def sit(self, number: int) -> Page:
        """A student at their seat, with a prompt."""
        page = self.visit(f"s{number}")
        page.goto(f"/seats/{self.seats[number]}/")
        expect(page.locator("sandbox-terminal")).to_have_attribute("state", "open", timeout=30_000)
        return page

    def tile(self, page: Page, number: int) -> str:
        return page.locator(f"#tile-{self.seats[number]} [data-lines]").inner_text()


def run(page: Page, line: str) -> None:
    page.locator("[data-screen] > :not([data-off]) .xterm-screen").click()
    page.keyboard.type(f"{line}\n")


def text(page: Page) -> str:
    shown: str = page.evaluate("document.querySelector('sandbox-terminal').text()")
    return shown


@pytest.fixture
def classroom(product: Product, visit: Callable[..., Page]) -> Iterator[Classroom]:
    made = Classroom(product, visit)
    yield made
    product.tell(CLOSE % made.lab)


def test_the_wall_shows_what_two_students_type_and_how_loaded_they_are(classroom):
    wall = classroom.wall()
    ada, ben = classroom.sit(0), classroom.sit(1)
    big = wall.context.new_page()
    big.goto(f"/labs/{classroom.lab}/wall/?big=1")
    run(ada, "echo from-$((40 + 2))")
    run(ben, "cd /worksapce")
    wait_for(lambda: "from-42" in classroom.tile(wall, 0), "Ada's tile stays", page=wall)
    wait_for(lambda: "worksapce" in classroom.tile(wall, 1), "Ben's tile stays", page=wall)
    wait_for(lambda: "from-42" in classroom.tile(big, 0), "the big screen stays", page=big)
    load = wall.locator(f"#tile-{classroom.seats[0]} [data-load]")
    wait_for(lambda: "MB" in load.inner_text(), "no figures", page=wall)
    expect(wall.locator(f"#tile-{classroom.seats[0]} [data-idle]")).to_have_text("active")
    it_counts_in_the_servers_words(wall)


def it_counts_in_the_servers_words(wall: Page) -> None:
    """Who is here and for how long nobody worked: as the page came, and second by second."""
    script = """async ([cases, now]) => {
      const { presence } = await import("sandboxes/labs-wall-tile.js");
      return cases.map(([data, isOver]) => presence(data, now, isOver));
    }"""
    ages = (None, 0, 59, 60, 89, 90, 3700, 200_000)
    either = (False, True)
    told = [made_tile(*one) for one in itertools.product(either, either, either, ages, ages)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "time", SimpleNamespace(time=lambda: NOW))
        words = [tile.presence for tile in told]
    assert {"did not come", "not here yet", "left 1 h 1 min ago", "active", "60 s idle"} <= {*words}
    assert wall.evaluate(script, [[[data_of(tile), tile.is_over] for tile in told], NOW]) == words


def made_tile(came: bool, here: bool, is_over: bool, seen: int | None, active: int | None) -> tiles.Tile:
    """A tile of which nothing matters but who was there when."""
    ago = lambda age: None if age is None else NOW - age  # noqa: E731
    names = [one.name for one in dataclasses.fields(tiles.Tile)]
    blank = dict.fromkeys(names, "") | {"seat": "seat_1", "mark": "running", "steps": 0}
    facts = {"came": came, "here": here, "is_over": is_over, "seen_at": ago(seen), "active_at": ago(active)}
    return tiles.Tile(**(blank | facts))  # type: ignore[arg-type]


def data_of(tile: tiles.Tile) -> dict[str, str]:
    """The tile's data attributes, as the page has them."""
    article = render_to_string("labs/_tile.html", {"tile": tile, "big": True})
    return dict(re.findall(r'data-(came|here|seen|active)="([^"]*)"', article.partition(">")[0]))


def test_a_latecomers_tile_appears_and_who_is_ticked_stays_ticked(classroom):
    wall = classroom.wall()
    wall.locator(f"#tile-{classroom.seats[1]} .tick").click()
    expect(wall.get_by_text("1 ticked")).to_be_visible()
    classroom.product.tell(LATE % classroom.lab)
    expect(wall.locator(".tile")).to_have_count(3, timeout=15_000)
    expect(wall.locator(f"#tile-{classroom.seats[1]} [name=seat]")).to_be_checked()
    stays_in_its_frame(wall)


def stays_in_its_frame(wall: Page) -> None:
    """A long name pushes nothing out of its tile, and no menu makes the page wider than the screen."""
    before = wall.viewport_size
    for width in (320, 430, 1000, 1280):
        wall.set_viewport_size({"width": width, "height": 800})
        assert wall.evaluate(BEYOND) == []
        for menu in wall.locator("#many summary").all():
            menu.click()
            assert wall.evaluate(BEYOND) == [], width
            menu.click()
    wall.set_viewport_size(before)


BEYOND = """() => {
    const found = [...document.querySelectorAll(".tile :is(header, footer) > *")].filter((one) => {
        const [mine, tile] = [one, one.closest(".tile")].map((each) => each.getBoundingClientRect());
        return mine.width && (mine.right > tile.right + 1 || mine.left < tile.left - 1);
    }).map((one) => one.textContent);
    for (const sheet of document.querySelectorAll("#many details[open] .sheet")) {
        const box = sheet.getBoundingClientRect();
        if (box.left < 0 || box.right > innerWidth) found.push(`sheet ${box.left} ${box.right}`);
    }
    const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    return wide > 0 ? [...found, `${wide} px wider`] : found;
}"""


def test_a_wall_that_stays_open_says_that_its_lab_is_over_and_offers_no_more(classroom):
    wall, big = classroom.wall(), classroom.visit("ines")
    big.goto(f"/labs/{classroom.lab}/wall/?big=1")
    wall.locator("#many summary", has_text="Message").click()
    expect(wall.get_by_label("Message", exact=True)).to_be_focused()
    wall.get_by_label("Message", exact=True).fill("Not sent yet")
    later = "from sandboxes.labs.models import Lab; from datetime import timedelta; "
    later += "lab = Lab.objects.get(pk=%r); lab.closes_at += timedelta(minutes=7); lab.save()"
    before = wall.locator("#wall-told time").get_attribute("datetime")
    classroom.product.tell(later % classroom.lab)
    expect(wall.locator("#wall-told time")).not_to_have_attribute("datetime", before, timeout=15_000)
    expect(wall.get_by_label("Message", exact=True)).to_have_value("Not sent yet")
    classroom.product.tell(CLOSE % classroom.lab)
    expect(wall.locator("#wall-told .badge")).to_have_text("closed", timeout=60_000)
    expect(wall.locator("#toasts")).to_contain_text("Nothing can be sent or run here any more.")
    expect(wall.locator("#many, .tick")).to_have_count(0)
    expect(wall.get_by_role("link", name="Overview")).to_be_visible()
    expect(big.locator("#wall-told .badge")).to_have_text("closed")


def test_a_raised_hand_is_claimed_looked_at_helped_with_consent_and_resolved(classroom):
    wall, ada = classroom.wall(), classroom.sit(0)
    ada.get_by_text("Raise hand", exact=True).first.click()
    ada.locator("#hand-text").fill("cd does not work")
    ada.locator(".seat-hand button[value=up]").click()
    row = wall.locator("#help li")
    expect(row).to_contain_text("cd does not work", timeout=5000)
    expect(wall.locator(f"#tile-{classroom.seats[0]} [data-hand-word]")).to_be_visible()
    assert is_above(wall, "#help", "#tiles")  # on a phone, too, nobody has to look for who waits
    row.get_by_role("button", name="Claim").click()
    expect(row).to_contain_text("You are on it.")
    row.get_by_role("link", name="Look").click()
    expect(wall.locator("sandbox-terminal")).to_have_attribute("state", "open")
    expect(ada.locator("[data-watchers]")).to_contain_text("Ines Roth")
    run(wall, "echo not-yet")
    wall.get_by_role("button", name="Ask to type").click()
    ada.get_by_role("button", name="Yes", exact=True).click()
    expect(wall.locator("#look-bar")).to_contain_text("You may type.", timeout=5000)
    wall.wait_for_timeout(2000)  # the guard's round lets the keyboard go
    run(wall, "echo by-$((6 * 7))")
    wait_for(lambda: "by-42" in text(ada), "what staff type is not seen", page=ada)
    assert "not-yet" not in text(ada)
    wall.get_by_role("button", name="Stop typing").click()
    expect(wall.locator("#look-bar")).to_contain_text("You look and cannot type.")
    wall.get_by_role("button", name="Resolved").click()
    expect(wall.locator("#help")).to_contain_text("Nobody has a hand up.")


def is_above(page: Page, one: str, other: str) -> bool:
    """Whether that holds on a phone."""
    before = page.viewport_size
    page.set_viewport_size({"width": 390, "height": 844})
    boxes = [page.locator(name).bounding_box() for name in (one, other)]
    page.set_viewport_size(before)
    return boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"]


def restarted(wall: Page) -> None:
    """From the menu, over the question, for everyone: the form knows which button that was."""
    wall.locator("#many summary[aria-label='More for many']").click()
    wall.locator("#many").get_by_role("button", name="Restart").click()
    wall.get_by_role("dialog").get_by_role("button", name="Restart").click()
    expect(wall.locator("#toasts")).to_contain_text("Restart: 2 seats.")


def test_a_command_for_everyone_has_its_matrix_and_messages_arrive(classroom):
    wall, ada = classroom.wall(), classroom.sit(0)
    wall.locator("#many summary", has_text="Message").click()
    wall.locator("#many-text").fill("Eyes on\nstep two")
    wall.get_by_role("button", name="Send").click()
    expect(ada.get_by_text("Eyes on step two").first).to_be_attached(timeout=5000)
    assert "Eyes on\nstep two" in ada.locator("#toasts").inner_text()
    expect(wall.locator("#toasts")).to_contain_text("Told 2.")
    expect(wall.locator("#many-text")).to_have_value("")
    wall.locator("#many summary", has_text="Run").click()
    wall.locator("#many-command").fill("echo seen-by-all; exit 3")
    wall.get_by_role("button", name="Run", exact=True).click()
    wall.wait_for_url("**/runs/*/")
    expect(wall.locator(".matrix .badge", has_text="exit 3")).to_have_count(2, timeout=20_000)
    wall.locator(".matrix summary").first.click()
    expect(wall.locator(".matrix .console").first).to_contain_text("seen-by-all")
    wall.get_by_role("button", name="Retry the failed").click()
    expect(wall.locator(".matrix .badge", has_text="exit 3")).to_have_count(2, timeout=20_000)
    restarted(classroom.wall())
