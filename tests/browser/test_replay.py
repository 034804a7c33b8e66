"""A recorded terminal in the browser: seen while it runs, searched, replayed at a moment, and on record."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.product import Product, running
from tests.browser.room import Room, clipboard, wait_for
from tests.browser.test_access import CONTRAST, NAMELESS

ALWAYS = "This terminal is recorded: what it shows is kept and can be replayed."

KEYS = re.compile(r"^recording\s*, with keystrokes$")


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """An install whose owners may record; the starter image always is."""
    with running(tmp_path_factory.mktemp("product"), SANDBOX_RECORDING="optional") as made:
        yield made


def always(product: Product, keystrokes: bool = False, policy: str = "always") -> None:
    """From now on launches from the starter image are recorded."""
    columns = f"recording={policy!r}, recording_keystrokes={keystrokes}"
    product.tell(f"from sandboxes.models import *; Image.objects.update({columns})")


def trail(product: Product, action: str) -> list[str]:
    """Who did it, in order."""
    query = f"Event.objects.filter(action={action!r}).order_by('id').values_list('actor_name', flat=True)"
    return product.tell(f"from sandboxes.models import *; print(*{query})").split()


@pytest.fixture
def recorded(product: Product, alice: Page, launch: Callable[..., str]) -> Room:
    """Alice in a sandbox whose terminals are always recorded."""
    always(product)
    return Room(alice, launch(alice)).enter()


def end(room: Room) -> None:
    """Close the terminal, and wait until its recording is whole."""
    room.run("exit")
    expect(room.terminal).to_have_attribute("state", "ended")
    row = room.page.locator("[data-recording-row]").first
    expect(row).to_contain_text(re.compile(r"\d+ (B|kB)"))
    expect(row.locator(".badge.bad")).to_have_count(0)


class Replay:
    """The page of a recording."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def ready(self) -> Replay:
        expect(self.page.locator("terminal-replay")).to_have_attribute("state", "ready")
        return self

    @property
    def screen(self) -> str:
        """What the player shows."""
        lines = self.page.locator(".ap-term-text .ap-line").all_text_contents()
        return "\n".join(line.rstrip() for line in lines)

    def shows(self, text: str) -> None:
        wait_for(lambda: text in self.screen, lambda: f"no {text!r} in {self.screen!r}", page=self.page)

    def search(self, words: str, hits: str) -> None:
        self.page.get_by_placeholder("Search what was shown").fill(words)
        expect(self.page.locator("[data-count]")).to_have_text(hits)

    @property
    def clock(self) -> str:
        return self.page.locator("[data-clock]").inner_text()


def opened(room: Room) -> Replay:
    room.page.locator("[data-recording-row] a").first.click()
    room.page.wait_for_url("**/recordings/rec_*/")
    return Replay(room.page).ready()


def test_seen_while_it_runs_then_searched_jumped_to_and_linked(
    recorded: Room, product: Product, visit: Callable[..., Page], complaints: Any
) -> None:
    """The auditor's walk: the word, the moment, the screen as it was, a link to it, and the trail."""
    mark = recorded.page.locator(".recording-mark")
    expect(mark).to_have_text("recording", use_inner_text=True)
    expect(mark).to_have_attribute("title", ALWAYS)
    recorded.run("echo first-line")
    recorded.sees("\nfirst-line\n")
    recorded.page.wait_for_timeout(1200)
    recorded.run(r"printf 'a \033[1;33mneed\033[0mle in a haystack\n'")
    recorded.sees("\na needle in a haystack\n")
    recorded.page.wait_for_timeout(1200)
    recorded.run("echo afterwards")
    recorded.sees("\nafterwards\n")
    end(recorded)
    replay = opened(recorded)
    page = replay.page
    replay.search("needle in a", "1 hit")
    page.locator("[data-hit]").click()
    replay.shows("a needle in a haystack")
    assert "first-line" in replay.screen
    assert "afterwards" not in replay.screen
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Link to this moment").click()
    expect(page.locator(".toast")).to_contain_text("Copied")
    link = clipboard(page)
    assert float(parse_qs(urlsplit(link).query)["t"][0]) > 1
    again = Replay(visit("alice"))
    again.page.goto(link)
    again.ready().shows("a needle in a haystack")
    assert "afterwards" not in again.screen
    complaints.expect("404")
    stranger = visit("bob")
    assert stranger.goto(link).status == 404
    assert trail(product, "recording.watch") == ["alice", "alice", "bob"]
    recorded.page.goto(f"/sandboxes/{recorded.id}/")
    expect(recorded.page.locator("#room-timeline")).to_contain_text("alice replayed terminal main")


def test_words_are_found_as_they_stood_on_the_screen(recorded: Room) -> None:
    """Colours, a line written over, a long line that wraps, an editor's screen."""
    recorded.run("for i in 1 2 3; do printf '\\rstep %s of 3' $i; sleep 0.3; done; echo")
    recorded.sees("step 3 of 3")
    recorded.run("echo $(seq 1 60) the-$((1+0))-end")
    recorded.sees("the-1-end")
    recorded.run("vi notes")
    recorded.page.wait_for_timeout(500)
    recorded.page.keyboard.type("iwritten in an editor")
    recorded.sees("written in an editor")
    recorded.page.keyboard.press("Escape")
    recorded.page.wait_for_timeout(300)
    recorded.page.keyboard.type(":wq\n")
    recorded.page.wait_for_timeout(500)
    end(recorded)
    replay = opened(recorded)
    replay.search("step 2 of 3", "1 hit")
    replay.page.locator("[data-hit]").click()
    replay.shows("step 2 of 3")
    replay.search("58 59 60 the-1-end", "1 hit")
    replay.search("WRITTEN IN AN EDITOR", "1 hit")
    replay.page.keyboard.press("Enter")
    replay.shows("written in an editor")
    replay.search("never-was-there", "Not in this recording")
    expect(replay.page.locator("[data-hit]")).to_have_count(0)


def test_played_by_keyboard_faster_and_without_idle_time(recorded: Room) -> None:
    recorded.run("echo begin; sleep 5; echo the-$((1+0))-end")
    recorded.sees("the-1-end", patience=20)
    end(recorded)
    replay = opened(recorded)
    page = replay.page
    total = int(replay.clock.rpartition(":")[2])
    assert total >= 5
    page.get_by_label("Speed").select_option("8")
    page.locator(".ap-wrapper").focus()
    page.keyboard.press("Space")
    wait_for(lambda: "the-1-end" in replay.screen, lambda: replay.screen, 4, page)
    assert (
        int(replay.clock.split(" ")[0].rpartition(":")[2]) >= 5
    )  # the recording's own time, not the player's
    page.get_by_label("Skip idle time").uncheck()
    page.keyboard.press("/")
    expect(page.get_by_placeholder("Search what was shown")).to_be_focused()
    page.keyboard.type("begin")
    expect(page.locator("[data-count]")).to_contain_text("hit")
    page.keyboard.press("Enter")
    first = page.locator('[data-hit][aria-current="true"]')
    expect(first).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator('[data-hit="1"]')).to_have_attribute("aria-current", "true")
    page.keyboard.press("Shift+Enter")
    expect(page.locator('[data-hit="0"]')).to_have_attribute("aria-current", "true")
    assert "the-1-end" not in replay.screen


def test_its_owner_starts_and_stops_it_and_everybody_sees_the_mark(
    product: Product, alice: Page, launch: Callable[..., str], visit: Callable[..., Page]
) -> None:
    always(product, keystrokes=True, policy="optional")
    room = Room(alice, launch(alice)).enter()
    other = Room(visit("prof"), room.id).enter()
    expect(alice.locator(".recording-mark")).to_be_hidden()
    alice.get_by_label("More of the terminal").click()
    room.button("Record, with keystrokes").click()
    for page in (alice, other.page):
        expect(page.locator(".recording-mark")).to_have_text(KEYS, use_inner_text=True)
        expect(page.locator(".toast").first).to_contain_text("What you type is kept too, also passwords.")
    other.page.get_by_label("More of the terminal").click()
    expect(other.page.locator("[data-record]")).to_be_hidden()
    room.run("read -s word")
    room.type("sesame\n")
    alice.get_by_label("More of the terminal").click()
    room.button("Stop recording").click()
    for page in (alice, other.page):
        expect(page.locator(".recording-mark")).to_be_hidden()
    replay = opened(room)
    replay.search("sesame", "1 hit")
    expect(replay.page.locator("[data-hit] .badge")).to_have_text("typed")
    assert trail(product, "recording.start")[-1] == "alice"


def test_people_are_told_before_they_launch(product: Product, alice: Page) -> None:
    always(product, keystrokes=True)
    alice.goto("/sandboxes/new/")
    told = alice.locator("label.option", has_text="Starter")
    expect(told).to_contain_text("Terminals of this image are recorded")
    expect(told).to_contain_text("What you type is kept too, also passwords.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_replay_can_be_read_and_used_by_everybody(
    recorded: Room, visit: Callable[..., Page], scheme: Any
) -> None:
    recorded.run("echo something to find")
    recorded.sees("\nsomething to find\n")
    end(recorded)
    path = recorded.page.locator("[data-recording-row] a").first.get_attribute("href") or ""
    page = visit("alice", color_scheme=scheme, viewport={"width": 400, "height": 860})
    page.goto(path)
    Replay(page).ready().search("something", "2 hits")
    page.keyboard.press("Enter")
    page.locator("body > header").click()
    wide, room = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide <= room
    main = page.locator("main")
    assert not NAMELESS.search(main.aria_snapshot()), main.aria_snapshot()
    weak = [one for one in page.evaluate(CONTRAST) if "ap-" not in str(one)]
    assert weak == []


LINES = """async ([cols, rows, pieces]) => {
  const { Screen } = await import("sandboxes/replay-screen.js");
  const found = [];
  const screen = new Screen(cols, rows, (line) => found.push([line.text, line.time(0, line.text.length)]));
  pieces.forEach((piece, at) => screen.feed(piece, at));
  screen.end();
  return found;
}"""


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        (["one\r\ntwo"], ["one", "two"]),
        (["\x1b[1;3", "1mred\x1b", "[0m text"], ["red text"]),
        (["\x1b]0;a ti", "tle\x07shown"], ["shown"]),
        (["10%", "\r20%", "\r30%"], ["10%", "20%", "30%"]),
        (["abc\b\b\b\x1b[K", "xyz"], ["abc", "xyz"]),
        (["0123456789ab\r\n"], ["0123456789ab"]),  # wraps at ten columns, and is one line
        (["\x1b[2J\x1b[3;2Hhere\x1b[1;1Htop"], ["top", " here"]),
        (["1\r\n2\r\n3\r\n4\r\n5\r\n6"], ["1", "2", "3", "4", "5", "6"]),  # five rows: the first scrolls away
        (["main\x1b[?1049hother\x1b[?1049l!"], ["other", "main!"]),
        (["日本 x"], ["日本 x"]),
        (["a\x1b[2;4r\x1b[4Hlast\r\nnew"], ["a", "last", "new"]),
        (["ab\x1b[1Dc\x1b[1@d"], ["ab", "acd"]),
    ],
)
def test_the_small_screen_knows_what_stood_where(alice: Page, pieces: list[str], lines: list[str]) -> None:
    found = alice.evaluate(LINES, [10, 5, pieces])
    assert sorted(text for text, _ in found) == sorted(lines)


def test_a_line_was_there_when_its_last_character_came(alice: Page) -> None:
    found = alice.evaluate(LINES, [40, 5, ["ne", "ed", "le", "\rneedlework", "\r\n"]])
    assert dict(found) == {"needlework": 3}
    found = alice.evaluate(LINES, [40, 5, ["step 1 of 3", "\rstep 2 of 3", "\rstep 3 of 3"]])
    assert dict(found) == {"step 1 of 3": 0, "step 2 of 3": 1, "step 3 of 3": 2}
