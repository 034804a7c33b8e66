"""A whole lesson with six people at once on the real engine: from the pasted roster to the saved work."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.product import PASSWORD, Product
from tests.browser.room import Room, wait_for

ROSTER = """Name;E-Mail;Role;Section
Ada Lund;ada@lesson.example;student;A
Cleo Diaz;cleo@lesson.example;student;B
Tim Haas;tim@lesson.example;assistant;
"""
SEED = f"""
from sandboxes.labs import members
from sandboxes.labs.models import LabTemplate, TemplateVersion
from sandboxes.lifecycle import audit
from sandboxes.models import Image, User
User.objects.create_user("cleo", "cleo@lesson.example", password={PASSWORD!r}, first_name="Cleo")
eva = User.objects.create_user("eva", password={PASSWORD!r}, first_name="Eva", last_name="Roth")
values = {{"title": "Lesson", "typing": "ask", "assistants_act": True, "guests_allowed": True}}
course = members.create(eva, audit.Origin.of(eva), values)
template = LabTemplate.objects.create(course=course, title="Shell basics")
template.published = TemplateVersion.objects.create(
    template=template, number=1, image=Image.objects.get(title="Starter"), memory=64 << 20, pids=128,
    sheet="# Shell\\n\\n## Look around\\n\\nA.\\n\\n## Go on\\n\\nB.\\n")
template.save()
print(course.pk)
"""
SEATS = 4


class Lesson:
    """The course, and what its people do; Eva teaches, Tim assists."""

    def __init__(self, product: Product, visit: Callable[..., Page]) -> None:
        self.visit = visit
        self.course = f"/courses/{product.tell(SEED).strip()}/"
        self.eva = visit("eva")

    def enroll(self) -> None:
        """The roster through its preview; Cleo's account is known to be hers."""
        page = self.eva
        page.goto(f"{self.course}people/roster/")
        page.get_by_label("Paste it").fill(ROSTER)
        page.get_by_role("button", name="See what changes").click()
        page.get_by_role("checkbox", name=re.compile("Cleo Diaz")).check()
        page.get_by_role("button", name="Apply").click()
        page.wait_for_url("**/people/")
        expect(page.locator(".people-table")).to_contain_text("Tim Haas")

    def code(self) -> str:
        """A class code, as it stands on the projector."""
        self.eva.goto(f"{self.course}join/")
        self.eva.get_by_role("button", name="Make a code").click()
        self.eva.get_by_role("link", name="Show it large").click()
        return self.eva.locator(".projector .code").inner_text()

    def card(self, name: str) -> str:
        """The address on somebody's join card."""
        self.eva.goto(f"{self.course}cards/")
        return self.eva.locator(".join-cards li", has_text=name).locator(".address").inner_text()

    def personal_link(self, name: str) -> str:
        self.eva.goto(f"{self.course}people/")
        self.eva.get_by_role("link", name=name).click()
        return self.eva.get_by_role("textbox", name="Personal link").input_value()

    def by_link(self, link: str) -> Page:
        page = self.visit(None)
        page.goto(link)
        page.get_by_role("button", name="Go to the course").click()
        page.wait_for_url(f"**{self.course}")
        return page

    def by_code(self, code: str, user: str | None) -> Page:
        """With an account, else as the guest Greta."""
        page = self.visit(user)
        page.goto("/join/")
        page.get_by_label("Class code").fill(code)
        page.get_by_role("button", name=f"Join as {user}" if user else "Go on").click()
        if user is None:
            page.get_by_label("Your name").fill("Greta")
            page.get_by_role("button", name="Come in as a guest").click()
        page.wait_for_url(f"**{self.course}")
        return page

    def open(self) -> None:
        """Plan and open the lab, until everybody's seat is ready."""
        page = self.eva
        page.goto(f"{self.course}labs/new/")
        expect(page.locator("#id_ready_by-hint")).to_contain_text("your time, ")
        page.get_by_role("button", name="See the plan").click()
        page.wait_for_url("**/labs/lab_*/")
        self.lab = page.url
        expect(page.get_by_role("heading", name="The plan")).to_be_visible()
        page.get_by_role("button", name="Open the lab").click()
        expect(page.get_by_text(f"{SEATS} of {SEATS} ready")).to_be_visible(timeout=60_000)

    def wall(self, page: Page) -> Page:
        page.goto(f"{self.lab}wall/")
        expect(page.locator('.tile-status[data-status="running"]')).to_have_count(SEATS)
        return page


def sit(page: Page) -> Room:
    page.reload()
    page.get_by_role("link", name="Go to your seat").click()
    return Room(page, "").ready()


def raise_hand(page: Page, words: str) -> None:
    page.get_by_text("Raise hand", exact=True).first.click()
    page.get_by_label("What is it about?").fill(words)
    page.locator(".seat-hand button[value=up]").click()
    expect(page.locator("#seat-hand summary")).to_contain_text("Hand is up")


def help_with_consent(wall: Page, student: Room) -> None:
    """Claimed, looked at, asked, typed in after the yes, ended by the student, resolved."""
    row = wall.locator("#help li")
    expect(row).to_contain_text("no such file")
    row.get_by_role("button", name="Claim").click()
    expect(row).to_contain_text("You are on it.")
    expect(student.page.locator("#seat-hand summary")).to_contain_text("Help is coming")
    row.get_by_role("link", name="Look").click()
    theirs = Room(wall, "").ready()
    expect(student.page.locator("[data-watchers]")).to_have_text("Tim Haas is looking at your terminal.")
    wall.get_by_role("button", name="Ask to type").click()
    student.page.get_by_role("button", name="Yes", exact=True).click()
    wait_for(lambda: "only watch" not in theirs.terminal.inner_text(), "the yes did not come", page=wall)
    theirs.run("echo by-ti''m | tee helped.txt")
    student.sees("\nby-tim")
    student.page.get_by_role("button", name="End typing").click()
    expect(theirs.terminal).to_contain_text("you only watch")
    wall.get_by_role("button", name="Resolved").click()
    expect(wall.locator("#help")).to_contain_text("Nobody has a hand up.")
    expect(student.page.locator("#seat-hand summary")).to_contain_text("Raise hand")


def command_for_everyone(wall: Page) -> None:
    wall.locator("#many summary", has_text="Run").click()
    wall.locator("#many-command").fill("echo $((6 * 7)) | tee for-all.txt")
    wall.get_by_role("button", name="Run", exact=True).click()
    wall.wait_for_url("**/runs/*/")
    expect(wall.locator(".matrix .badge.good")).to_have_count(SEATS, timeout=30_000)
    wall.locator(".matrix summary").first.click()
    expect(wall.locator(".matrix .console").first).to_contain_text("42")


def eyes_up_and_resume(wall: Page, students: list[Room]) -> None:
    wall.get_by_role("button", name="Eyes up").click()
    for one in students:
        expect(one.page.locator("#seat-stage")).to_contain_text("has paused your terminal", timeout=30_000)
    wall.get_by_role("button", name="Resume").click()
    for one in students:
        expect(one.page.locator("#seat-stage")).not_to_contain_text("Eyes up.", timeout=30_000)
        one.run("echo goes-o''n")
        one.sees("\ngoes-on")


def saved(page: Page) -> dict[str, bytes]:
    """What a student takes home beside the image's own, by name."""
    with page.expect_download() as got:
        page.get_by_role("link", name="Download your files").click()
    with tarfile.open(got.value.path()) as archive:
        files = [one for one in archive.getmembers() if one.isfile() and "README" not in one.name]
        return {one.name.rpartition("/")[2]: archive.extractfile(one).read() for one in files}  # type: ignore[union-attr]


def all_saved(page: Page) -> list[str]:
    """What staff take along of the closed lab at once: an archive for each."""
    with page.expect_download() as got:
        page.get_by_role("link", name="All saved work").click()
    with tarfile.open(got.value.path()) as archive:
        return archive.getnames()


@pytest.fixture
def lesson(product: Product, visit: Callable[..., Page]) -> Lesson:
    return Lesson(product, visit)


def test_a_lesson_from_the_pasted_roster_to_the_saved_work(lesson: Lesson) -> None:
    lesson.enroll()
    code = lesson.code()
    cleo = lesson.visit("cleo")
    cleo.goto(lesson.course)
    ada = lesson.by_link(lesson.card("Ada Lund"))
    bob, greta = lesson.by_code(code, "bob"), lesson.by_code(code, None)
    tim = lesson.by_link(lesson.personal_link("Tim Haas"))
    lesson.open()
    students = [sit(page) for page in (ada, cleo, bob, greta)]
    students[0].run("echo ada > mine.txt; cat nowhere")
    raise_hand(ada, "no such file")
    help_with_consent(lesson.wall(tim), students[0])
    wall = lesson.wall(lesson.eva)
    expect(wall.locator(".tile", has_text="Greta").locator(".badge")).to_have_text("guest")
    command_for_everyone(wall)
    eyes_up_and_resume(lesson.wall(wall), students)
    close(lesson)
    for one in students:
        expect(one.page.get_by_role("heading", name="This lab is closed")).to_be_visible(timeout=60_000)
    assert saved(ada) == {"mine.txt": b"ada\n", "helped.txt": b"by-tim\n", "for-all.txt": b"42\n"}
    assert saved(greta) == {"for-all.txt": b"42\n"}
    assert len(all_saved(lesson.eva)) == SEATS


def close(lesson: Lesson) -> None:
    page = lesson.eva
    page.goto(lesson.lab)
    page.get_by_role("button", name="Close lab").click()
    page.get_by_label("now", exact=True).check()
    page.get_by_role("button", name="Close it").click()
    expect(page.get_by_text(f"{SEATS} of {SEATS} closed")).to_be_visible(timeout=60_000)
