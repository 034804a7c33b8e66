"""Takes the pictures of README and docs from the real product: real containers, a real browser.

    python -m scripts.screenshots [--watch SECONDS] [--out FOLDER]

The longer it watches, the more of the charts' ten minutes is filled. Everything it starts is gone afterwards.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

from scripts import browser as chromium
from tests.browser.product import Product, running
from tests.browser.room import Room, come_in, found, launched

ROOT = Path(__file__).resolve().parents[1]
WIDE = {"width": 1440, "height": 960}
NARROW = {"width": 412, "height": 915}
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
SETTINGS = {
    "SANDBOX_QUOTA_SANDBOXES": "20",
    "SANDBOX_QUOTA_MEMORY": "8g",
    "SANDBOX_TERMINAL_GRACE": "60",
}
# name, memory, seconds left in the picture, megabytes it holds, thousands it counts to at a time
SCENE = (
    ("old-demo", "256m", 3000, 0, 0),
    ("scraper", "512m", 2500, 90, 900),
    ("compiler-lab", "512m", 2460, 160, 0),
    ("ml-notebook", "512m", 130, 440, 20000),
    ("shell-basics", "128m", 3120, 24, 200),
    ("web-3", "512m", 1080, 290, 6000),
)
LOAD = """awk 'BEGIN {
  text = sprintf("%1000000s", ""); while (i++ < HELD) kept[i] = text i
  for (srand(); 1; system("sleep " 0.1 + rand() * 0.6)) for (k = COUNTED * rand() * rand(); k > 0; k--) n += k
}'"""
SCRIPT = r"""for page in index.html about.html; do
  if [ -f site/$page ]
  then printf '  \033[32mok\033[0m    %s\n' $page
  else printf '  \033[31mfail\033[0m  %s: no such page\n' $page
  fi
done"""
SESSION = (
    "mkdir site test; echo '<h1>It works</h1>' > site/index.html",
    f"rm -f load.sh; cat > test/pages.sh <<'END'\n{SCRIPT}\nEND",
    "clear",
    "ls",
    "httpd -p 3000 -h site && wget -qO- localhost:3000",
    "sh test/pages.sh",
)
CATALOGUE = """
from sandboxes.models import Image
Image.objects.create(reference="localhost:9/lab/database:1", title="Database lab", description="Sample data.")
"""


def load(held: int, counted: int) -> str:
    """A script that keeps so many megabytes and counts to so many thousands, now and then."""
    return LOAD.replace("HELD", str(held)).replace("COUNTED", str(counted * 1000))


class Studio:
    """One install with its people and sandboxes, and the browser that looks at them."""

    def __init__(self, product: Product, browser: Browser, out: Path) -> None:
        self.product, self.browser, self.out = product, browser, out
        self.pages: dict[str, Page] = {}

    def page(self, who: str, viewport: dict[str, int] = WIDE, **options: Any) -> Page:
        """A signed-in page in a browser of its own."""
        context = self.browser.new_context(base_url=self.product.url, viewport=viewport, **options)
        page = context.new_page()
        come_in(page, who)
        return page

    def set_up(self, watch: int) -> str:
        """Launch the scene and set it to work; the id of the sandbox that is looked at closely."""
        page = self.pages["fleet"] = self.page("alice")
        ids = {}
        for name, memory, left, held, counted in SCENE:
            ids[name] = launched(page, name=name, memory=memory, lifetime=f"{left + watch} s")
            if held:
                self.give(Room(page, ids[name]), "load.sh", load(held, counted))
                self.run(page, ids[name], "sh load.sh")
        self.fail(page)
        for name, action in (("compiler-lab", "pause"), ("old-demo", "stop")):
            self.act(page, ids[name], action)
        page.goto("/sandboxes/")
        return ids["web-3"]

    def give(self, room: Room, name: str, text: str) -> None:
        """Write a file by typing it."""
        room.enter().run(f"cat > {name} <<'END'\n{text}\nEND")
        room.page.wait_for_timeout(300)
        room.run("clear")

    def run(self, page: Page, sandbox_id: str, command: str) -> None:
        """A command that goes on, started without looking."""
        form = page.request.get(f"/sandboxes/{sandbox_id}/")
        token = found(r'csrfmiddlewaretoken" value="([^"]+)', form.text())
        page.request.post(
            f"/sandboxes/{sandbox_id}/commands/",
            form={"csrfmiddlewaretoken": token, "command": command, "shell": "on", "time_limit": "3600"},
            headers={"Referer": form.url},
        )

    def act(self, page: Page, sandbox_id: str, action: str) -> None:
        page.goto(f"/sandboxes/{sandbox_id}/")
        page.locator("#room-header").get_by_role("button", name=action.capitalize(), exact=True).click()
        yes = page.locator("#confirm [data-confirm-yes]")
        if yes.is_visible():
            yes.click()
        expect(page.locator("#room-header .badge")).to_contain_text(re.compile("paused|stopped"))

    def fail(self, page: Page) -> None:
        """A launch whose image no registry has."""
        page.goto("/sandboxes/new/")
        page.locator(".option", has_text="Database lab").click()
        page.get_by_label("Name", exact=True).fill("db-playground")
        page.get_by_role("button", name="Launch", exact=True).click()
        expect(page.locator("#room-header .badge")).to_contain_text("failed", timeout=60_000)

    def work(self, sandbox_id: str) -> None:
        """Something to see in the terminal, with somebody who watches."""
        page = self.pages["sandbox"] = self.page("alice")
        room = Room(page, sandbox_id).enter()
        for line in SESSION:
            room.run(line)
            page.wait_for_timeout(1000)
        room.sees("about.html: no such page")
        for number, command in enumerate(("sh test/pages.sh", "ls -l site", "cat site/about.html"), 2):
            page.get_by_label("Command", exact=True).fill(command)
            page.locator(".run").get_by_role("button", name="Run").click()
            expect(page.locator("#room-commands li")).to_have_count(number)
            expect(page.locator("#command-open .badge")).to_contain_text("exit")
        page.goto(f"/sandboxes/{sandbox_id}/")
        room.ready()
        self.pages["viewer"] = self.page("prof", {"width": 1700, "height": 1200})
        Room(self.pages["viewer"], sandbox_id).enter()

    def take(self, page: Page, name: str, *, dark: bool = True, whole: bool = False) -> None:
        """A picture by day and one by night."""
        page.mouse.move(0, 0)
        for theme in ("light", "dark") if dark else ("light",):
            page.emulate_media(color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce")
            page.wait_for_timeout(1500)
            page.screenshot(path=self.out / f"{name}-{theme}.png", full_page=whole)

    def take_all(self, sandbox_id: str) -> None:
        """Every picture; the narrow ones last, since a small window makes the shell small for all."""
        self.take(self.pages["fleet"], "fleet")
        room = self.pages["sandbox"]
        room.locator("#commands").scroll_into_view_if_needed()
        room.evaluate("scrollTo(0, 0)")
        self.take(room, "sandbox")
        for name, path in (("launch", "/sandboxes/new/"), ("images", "/images/")):
            self.pages["fleet"].goto(path)
            self.take(self.pages["fleet"], name)
        phone = self.page("alice", NARROW, has_touch=True, is_mobile=True, device_scale_factor=2)
        phone.goto("/sandboxes/")
        phone.wait_for_timeout(2500)
        self.take(phone, "fleet-narrow", dark=False)
        Room(phone, sandbox_id).enter()
        phone.evaluate("scrollTo(0, 0)")
        self.take(phone, "sandbox-narrow", dark=False)


@contextmanager
def studio(out: Path) -> Iterator[Studio]:
    path = chromium.find()
    if path is None:
        sys.exit("screenshots: no chromium runs here; `python -m scripts.browser` installs one")
    with (
        tempfile.TemporaryDirectory(prefix="screenshots-") as data,
        running(Path(data), **SETTINGS) as product,
        sync_playwright() as playwright,
    ):
        product.tell(CATALOGUE)
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield Studio(product, browser, out)
        browser.close()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--watch", type=int, default=90, help="seconds to watch before the pictures (90)")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images", help="where they go")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=30_000)
    with studio(options.out) as one:
        sandbox_id = one.set_up(options.watch)
        one.work(sandbox_id)
        print(f"screenshots: watching for {options.watch} s", flush=True)
        end = time.monotonic() + options.watch
        while time.monotonic() < end:
            one.pages["fleet"].wait_for_timeout(1000)
        one.take_all(sandbox_id)
    print(f"screenshots: {', '.join(sorted(path.name for path in options.out.glob('*.png')))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
