"""Text that would come alive where a page does not show it as text, and a pen that writes it everywhere."""

from __future__ import annotations

from collections import Counter

from django.apps import apps
from django.db import models
from django.urls import reverse
from django.utils import timezone

from sandboxes.labs.models import Course, LabRunResult, Message, RosterDraft, Seat, TemplateVersion
from sandboxes.models import Command, Delivery, Event, Image, Sandbox, Terminal, User, Webhook
from tests.fakes.recordings import taped

from .rules import ROUTES, address
from .test_admin import addresses
from .world import HERE, World

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

MARKDOWN = [one.format(m=MARK) for one in (
    "[x](javascript:{m}())", "[x](JaVaScRiPt:{m}())", "[x](&#106;avascript:{m}())",
    "![x](//evil.example/{m}.png)", "![x](http://evil.example/{m}.png)", "![x](data:text/html,{m})",
    "![x](data:image/svg+xml;base64,{m})", "<javascript:{m}()>", "[x](data:text/html,<{m}>)",
    '[x](/ "\"{m}=1")', '![" {m}=1](/static/x.png)', "[x]: javascript:{m}()\n\n[x]", "`<{m}>`", "    <{m}>",
    "```<{m}>\n<{m}>\n```", "```run {m}\n{m}\n```", "> Hint: <{m}>", "|<{m}>|\n|-|\n|<{m}>|", "## <{m}>",
)]  # fmt: skip
"""What Markdown itself could be led to."""

ASK = ("[c", "[>c", "[=c", "[5n", "[6n", "[?6n", "[?15n", "[?25n", "[?26n", "[?996n", "[4$p", "[?1$p", "[>q",
       "[?u", "[14t", "[18t", "[20t", "[21t", "[x", "[1$w", "[1;1;1;1;1;1*y", "[?1;1;0S", "Z", "P$qm\x1b\\",
       "P$q\"p\x1b\\", "P+q544e\x1b\\", "]4;1;?\x07", "]10;?\x07", "]11;?\x07", "]12;?\x07",
       "]52;c;?\x07", "]52;p;?\x07", "]50;?\x07", "]5522;type=read\x07")  # fmt: skip
"""Questions to the terminal whose answers are typed into the program."""
STEAL = [f"]52;{where};c3RvbGVu\x07" for where in ("c", "p", "s", "0", "", "cps")]
TITLE = [f"]{number};{MARK}\x07" for number in (0, 1, 2, 7, 9, 21, 30, 99, 777, 1337)]
TITLE += [f"k{MARK}\x1b\\", f"P1000p{MARK}\x1b\\", f"]1337;File=inline=1:{MARK}\x07", f"]9;4;1;{MARK}\x07"]
TRICKS = ["\x1b" + one for one in (*ASK, *STEAL, *TITLE)] + ["\x05"]
"""What a program tells a terminal to do that ours must not."""

KEPT = {
    "id", "claim", "claimed_by", "process", "marker", "native_id", "host", "environment_name", "launch_key",
    "launch_step", "pending", "operation", "password", "file", "policy", "sandbox_id", "digest", "owner",
    "request_id", "shell", "sheet",
}  # fmt: skip
"""Columns that no person and no program in a sandbox writes, or without which there is no page."""
WHERE = {"Event", "Lease", "Cursor", "Tally", "Seal"}
"""Models that are not updated: the trail is added to, and the rest belongs to the machinery."""


class Pen:
    """Gives each column the next payloads that fit."""

    def __init__(self, payloads: list[str] = PAYLOADS) -> None:
        self.payloads, self.at = payloads, Counter[str]()
        self.roomy: set[str] = set()

    def next(self, column: str, most: int | None) -> str:
        text, taken = "", 0
        for number in range(len(self.payloads)):
            one = self.payloads[(self.at[column] + number) % len(self.payloads)]
            if most is not None and text and len(text) + len(one) > most:
                break
            text, taken = text + one, taken + 1
        self.at[column] += taken
        if most is None or most >= 100:
            self.roomy.add(column)
        return text[:most]

    @property
    def is_done(self) -> bool:
        """Whether every column of 100 characters or more has had all of them; others take one at a time."""
        return bool(self.roomy) and min(self.at[one] for one in self.roomy) >= len(self.payloads)


def columns(model: type[models.Model]) -> dict[str, int | None]:
    """Those that hold somebody's text, with how much they take."""
    texts = [one for one in model._meta.fields if isinstance(one, models.CharField | models.TextField)]
    return {one.name: one.max_length for one in texts
            if not (one.choices or one.unique or one.name in KEPT)}  # fmt: skip


def written() -> list[type[models.Model]]:
    every = [one for app in ("sandboxes", "labs") for one in apps.get_app_config(app).get_models()]
    return [one for one in every if one.__name__ not in WHERE]


def furnish(world: World) -> None:
    """One of everything that the world has none of."""
    place, user = world.places[HERE], world.users["instructor"]
    hook = Webhook.objects.create(name="hook", url="https://siem.example/", enabled=False)
    Delivery.objects.create(webhook=hook, event_id=1, number=1, action="sandbox.stop")
    Terminal.objects.create(sandbox=place.sandbox, name="main", process="p", ended_at=timezone.now())
    LabRunResult.objects.create(run=place.run, seat=place.seat)
    RosterDraft.objects.create(course=place.course, user=user)
    Message.objects.create(lab=place.lab)
    shown = [(0.1, "o", trick) for trick in (*TRICKS, *(f"{one}\r\n" for one in PAYLOADS))]
    place.recording = taped(place.sandbox, [*shown, (0.2, "m", PAYLOADS[1])])
    Course.objects.filter(pk=place.course.pk).update(invite="i" * 20)


def write(world: World, pen: Pen) -> None:
    """Somebody's text wherever somebody's text is shown, past all forms: old rows and others write too."""
    for model in written():
        fresh = {name: pen.next(f"{model.__name__}.{name}", most) for name, most in columns(model).items()}
        if fresh:
            model._default_manager.update(**fresh)
    for user in User.objects.all():  # as no form would let them, and yet
        User.objects.filter(pk=user.pk).update(username=pen.next("User.username", 140) + str(user.pk))
    for image in Image.objects.all():
        reference = pen.next("Image.reference", 240) + str(image.pk)
        Image.objects.filter(pk=image.pk).update(reference=reference)
    _write_data(pen)
    _record(world, pen)


def _write_data(pen: Pen) -> None:
    """What is no plain column: output, sheets, names of files, lines of a roster."""
    data = pen.next("Command.stdout", None).encode("utf-8", "replace")
    Command.objects.update(stdout=data, stderr=data, stdout_bytes=len(data), stderr_bytes=len(data),
                           argv=[pen.next("Command.argv", 300)] * 2)  # fmt: skip
    Sandbox.objects.update(environment={pen.next("Sandbox.environment", 300): "x"})
    sheet = f"# {pen.next('sheet', None)}\n\n" + "\n\n".join([*PAYLOADS, *MARKDOWN])
    names = [pen.next("files_names", 100)]
    TemplateVersion.objects.update(sheet=sheet, files_names=names, created_at=timezone.now())
    Seat.objects.update(saved_name=pen.next("saved_name", 120))


def _record(world: World, pen: Pen) -> None:
    """A line of the trail made of it, also where today's writer would have escaped some."""
    sandbox = world.places[HERE].sandbox
    fresh = {name: pen.next(f"Event.{name}", most) for name, most in columns(Event).items()}
    fresh |= {"action": "sandbox.stop", "target_id": fresh["target_id"][:64]}
    key, value = pen.next("Event.key", 200), pen.next("Event.value", None)
    for outcome in ("ok", "refused"):
        Event.objects.create(sandbox_id=sandbox.pk, outcome=outcome, detail={key: value, "path": value},
                             changes={key: [value, value], "name": [value, key]}, **fresh)  # fmt: skip


NO_PAGES = {"recording_cast", "recording_download", "command_output", "seat_work", "roster_export",
            "lab_run_csv", "overview_csv", "lab_work"}  # fmt: skip
"""Files, which are sent as such."""


def pages(world: World) -> list[tuple[str, str]]:
    """Each page once, with a role that may see it."""
    place = world.places[HERE]
    found = []
    for name, row in ROUTES.items():
        roles = [role for role, where in sorted(row.get or ()) if where == HERE]
        if roles and name not in NO_PAGES:
            best = next(one for one in ("instructor", "auditor", "student", roles[0]) if one in roles)
            found.append((best, address(name, world, place, place)))
    admin = [path for name, path in addresses(world) if name.endswith(("_changelist", "_change"))]
    doors = [reverse("sign_in"), reverse("join"), reverse("join_invite", args=["i" * 20])]
    return found + [("auditor", path) for path in admin] + [("anonymous", path) for path in doors]


def first_pages(world: World) -> list[tuple[str, str]]:
    """Those that show most of it."""
    place = world.places[HERE]
    staff = ("sandbox_detail", "wall", "look", "roster_list", "lab_detail", "seat_story", "command_detail")
    found = [("instructor", address(name, world, place, place)) for name in staff]
    return [*found, ("student", address("seat_detail", world, place, place))]
