"""Whatever people and programs write is shown as text on every page: no element, attribute or template."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser

import pytest
from django.urls import reverse

from sandboxes.lifecycle import audit
from sandboxes.models import Event

from . import hostile
from .hostile import MARK, NO_PAGES, PAYLOADS, Pen, first_pages, pages, write
from .rules import address
from .test_secrets import content
from .world import HERE, World

pytestmark = pytest.mark.django_db
SHORT = 60
"""Characters that nearly all columns take."""


class Alive(HTMLParser):
    """What of a page is not as its templates made it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if MARK in tag or any(
            MARK in name or name.startswith("on") or name.startswith("hx-on") for name in names
        ):
            self.found.append(self.get_starttag_text() or tag)
        if tag in ("iframe", "object", "base", "embed", "plaintext") or (
            tag == "script" and "nonce" not in names
        ):
            self.found.append(self.get_starttag_text() or tag)
        for name, value in attrs:
            leads = (value or "").strip().lower()
            if name in ("href", "src", "action", "formaction") and leads.startswith(
                ("javascript:", "data:text", "//")
            ):
                self.found.append(self.get_starttag_text() or tag)


@pytest.mark.parametrize("part", range(4))
def test_what_anybody_writes_is_text(world: World, part: int) -> None:
    """Each on the pages that show most of it; the longest of this part on every page there is."""
    hostile.furnish(world)
    some = PAYLOADS[part::4]
    assert len(PAYLOADS) >= 60
    assert max(map(len, PAYLOADS)) <= SHORT
    alive = [one for payload in some for one in come_alive(world, payload, first_pages(world))]
    alive += come_alive(world, max(some, key=len), pages(world))
    assert alive == []


def come_alive(world: World, payload: str, where: list[tuple[str, str]]) -> list[tuple[str, str, list[str]]]:
    """The pages on which a payload is more than text."""
    write(world, Pen([payload]))
    answers = [(path, world.browser(role).get(path)) for role, path in where]
    found = [(path, payload, living(content(one))) for path, one in answers if one.status_code == 200]
    return [one for one in found if one[2]]


def living(page: str) -> list[str]:
    parser = Alive()
    parser.feed(page)
    return parser.found


def test_the_check_notices_what_it_is_for() -> None:
    """A check that finds nothing anywhere would prove nothing."""
    noticed = [
        one for one in PAYLOADS if living(one) or living(f'<a title="{one}">') or living(f"<a title='{one}'>")
    ]
    assert len(noticed) > 40


def test_files_are_sent_as_files(world: World) -> None:
    """Whatever is in them, a browser shows none of it as a page."""
    write(world, Pen(PAYLOADS[1:2]))
    place = world.places[HERE]
    for name in sorted(NO_PAGES):
        answer = world.browser("instructor").get(address(name, world, place, place))
        assert answer.status_code == 200, name
        assert not answer.headers["Content-Type"].startswith(
            ("text/html", "image/svg", "application/xhtml")
        ), name
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


PREFIXES = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20", "  =")
"""With what a spreadsheet takes a cell for a formula."""


@pytest.mark.parametrize("prefix", PREFIXES)
def test_no_cell_of_a_table_is_worked_out(world: World, prefix: str) -> None:
    hostile.furnish(world)
    write(world, Pen([f"{prefix}{MARK}(1)"]))
    cells = [cell for name in TABLES for row in table(world, name) for cell in row]
    assert sum(MARK in one for one in cells) >= len(TABLES)
    assert [one for one in cells if one.lstrip(" ").startswith(tuple(one[-1] for one in PREFIXES))] == []


TABLES = ("roster_export", "lab_run_csv", "overview_csv", "admin")


def table(world: World, name: str) -> list[list[str]]:
    """A download as a spreadsheet reads it."""
    place = world.places[HERE]
    if name == "admin":
        answer = world.browser("auditor").post(reverse("admin:sandboxes_event_export", args=["csv"]))
    else:
        answer = world.browser("instructor").get(address(name, world, place, place))
    return list(csv.reader(io.StringIO(content(answer).removeprefix("\ufeff"), newline="")))


def test_events_keep_nothing_that_steers(world: World) -> None:
    text = "".join(PAYLOADS)
    audit.record("sandbox.stop", audit.Origin("user", name=text[:60]), reason=text, detail={text: text})
    kept = Event.objects.filter(action="sandbox.stop").order_by("-id").first()
    assert kept is not None
    assert reverse("home") == "/"
    assert not {chr(code) for code in (*range(32), 127, *range(0x80, 0xA0))} & set(kept.reason)
