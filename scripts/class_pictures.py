"""Takes the pictures of the lecturer's tutorial: a class of nine in the real product, in real browsers.

    python -m scripts.class_pictures [--out FOLDER]

It goes the tutorial's own way: sample course, roster, plan, opening, seats, wall. Everything it
starts is gone afterwards.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from playwright.sync_api import Page, expect

from scripts.screenshots import NARROW, ROOT, WIDE, Studio, studio

NAMES = ("Ada Lund", "Ben Okafor", "Chiara Rossi", "Deniz Kaya", "Eva Novák", "Finn Berg", "Grace Mbeki",
         "Hana Sato", "Ivo Horvat")  # fmt: skip
ROSTER = "name;e-mail;id;section\n" + "\n".join(
    f"{name};{name.split()[0].lower()}@example.org;{1001 + place};{'AB'[place % 2]}"
    for place, name in enumerate(NAMES)
)
WORK = (
    "ls -l", "head -n 4 names.txt", "sort names.txt | uniq -c", "cd worksapce", "wc -l log.txt",
    "grep -c ERROR log.txt", "cat library/poems/rain.txt", "pwd", "find . -name '*.txt'",
)  # fmt: skip
WORDS = "cd says it can't, but the folder is there"


class Classroom:
    """The instructor's page, and one for each student."""

    def __init__(self, one: Studio) -> None:
        self.studio = one
        self.page = one.page("prof")
        self.seats: dict[str, Page] = {}

    def enroll(self) -> None:
        """Sample course, roster, preview, apply."""
        self.course = f"/courses/{re.findall('crs_[a-z0-9]+', self.sample())[0]}/"
        self.page.goto(f"{self.course}people/roster/")
        self.page.get_by_label("Paste it").fill(ROSTER)
        self.page.get_by_role("button", name="See what changes").click()
        expect(self.page.get_by_role("button", name="Apply")).to_be_visible()
        self.studio.take(self.page, "class-roster", dark=False)
        self.page.get_by_role("button", name="Apply").click()
        self.page.wait_for_url("**/people/")

    def sample(self) -> str:
        return self.studio.product.manage("sample_course", "--instructor", "prof")

    def open(self) -> None:
        """Plan, then open, until every seat is ready."""
        self.page.goto(f"{self.course}labs/new/")
        shell = self.page.locator("#id_template option", has_text="Shell basics")
        self.page.locator("#id_template").select_option(value=shell.get_attribute("value") or "")
        self.page.get_by_role("button", name="See the plan").click()
        self.page.wait_for_url("**/labs/lab_*/")
        self.lab = self.page.url
        self.studio.take(self.page, "class-plan", dark=False)
        self.page.get_by_role("button", name="Open the lab").click()
        expect(self.page.get_by_text(f"{len(NAMES)} of {len(NAMES)} ready")).to_be_visible(timeout=60_000)

    def sit(self, name: str, viewport: dict[str, int] = WIDE) -> Page:
        """A student comes by their personal link and takes their seat."""
        self.page.goto(f"{self.course}people/")
        self.page.get_by_role("link", name=name).click()
        link = self.page.get_by_role("textbox", name="Personal link").input_value()
        context = self.studio.browser.new_context(base_url=self.studio.product.url, viewport=viewport)
        page = context.new_page()
        page.goto(link)
        page.get_by_role("button", name="Go to the course").click()
        page.get_by_role("link", name="Go to your seat").click()
        expect(page.locator("sandbox-terminal[state=open]")).to_be_visible()
        return page

    def work(self) -> None:
        """Everybody types something; two ticked steps, one is stuck and says so."""
        for name, line in zip(NAMES, WORK, strict=True):
            page = self.seats[name] = self.sit(name)
            page.locator("sandbox-terminal .xterm-screen").click()
            page.keyboard.type(f"{line}\n")
            page.wait_for_timeout(500)
        for name in ("Ada Lund", "Eva Novák"):
            self.seats[name].get_by_role("button", name="Done, next step").click()
            self.seats[name].wait_for_timeout(500)
        stuck = self.seats["Deniz Kaya"]
        stuck.get_by_text("Raise hand").first.click()
        stuck.locator("input[name=text], textarea[name=text]").first.fill(WORDS)
        stuck.get_by_role("button", name=re.compile("Raise", re.I)).last.click()
        expect(stuck.get_by_text("Hand is up", exact=True)).to_be_visible()

    def take_all(self) -> None:
        self.page.goto(f"{self.lab}wall/")
        expect(self.page.locator("[data-load]").first).to_contain_text("%")
        self.studio.take(self.page, "class-wall")
        self.studio.take(self.seats["Ada Lund"], "class-seat")
        self.page.get_by_role("link", name="Look").click()
        expect(self.page.locator("sandbox-terminal[state=open]")).to_be_visible()
        self.page.get_by_role("button", name="Ask to type").click()
        stuck = self.seats["Deniz Kaya"]
        expect(stuck.get_by_role("button", name="Yes")).to_be_visible()
        self.studio.take(stuck, "class-asked", dark=False)
        phone = self.sit("Ben Okafor", NARROW)
        self.studio.take(phone, "class-seat-narrow", dark=False)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images", help="where they go")
    options = parser.parse_args()
    expect.set_options(timeout=30_000)
    with studio(options.out) as one:
        room = Classroom(one)
        room.enroll()
        room.open()
        room.work()
        room.take_all()
    print(f"class pictures: {', '.join(sorted(path.name for path in options.out.glob('class-*.png')))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
