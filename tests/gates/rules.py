"""Who may do what: a row for every path and every socket. What has no row here fails its test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver, reverse

from .world import HERE, THERE, Place, World

Pairs = frozenset[tuple[str, str]]
SIGNED_IN = (
    "stranger",
    "ex-student",
    "ex-instructor",
    "student",
    "assistant",
    "instructor",
    "staff",
    "auditor",
)


def of(here: str, there: str = "", both: str = "") -> Pairs:
    """The roles that may, at each place."""
    pairs = [(role, HERE) for role in f"{here} {both}".split()]
    return frozenset(pairs + [(role, THERE) for role in f"{there} {both}".split()])


TEACH, SITE = "instructor assistant", "staff auditor"
EVERYBODY = of("", both=" ".join(SIGNED_IN))
STAFF = of("", both=SITE)  # others are told so: 403
SEE = of(f"student {TEACH}", "stranger", SITE)  # a sandbox: its owner, who teaches there, site staff
WATCH = of(f"student {TEACH}", "stranger", "auditor")  # what was recorded: site staff only as auditors
LOOK = of(TEACH, "", SITE)
MANAGE = of("instructor", "", SITE)
IN_IT = of(f"student {TEACH}", "stranger", SITE)
OWN = of("student", "stranger")
WORK = of(f"student {TEACH}", "stranger", SITE)


@dataclass(frozen=True, eq=False)
class Row:
    """Who may GET, who may POST (None: 405), with which data, and what else the address names."""

    get: Pairs | None = None
    post: Pairs | None = None
    data: dict[str, str] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)


def page(who: Pairs, **words: str) -> Row:
    return Row(get=who, words=words)


def press(who: Pairs, data: dict[str, str] | None = None, **words: str) -> Row:
    return Row(post=who, data=data or {}, words=words)


def form(who: Pairs, post: Pairs | None = None, **data: str) -> Row:
    return Row(get=who, post=post or who, data=data)


ROUTES: dict[str, Row] = {
    "home": form(EVERYBODY),
    "sandbox_list": page(EVERYBODY),
    "sandbox_rows": page(EVERYBODY),
    "sandbox_new": form(EVERYBODY),
    "sandbox_act_many": press(EVERYBODY, {"action": "extend"}),
    "sandbox_detail": page(SEE),
    "sandbox_part": page(SEE, name="facts"),
    "sandbox_act": press(SEE, action="extend"),
    "command_run": press(SEE, {"command": "true"}),
    "command_detail": page(SEE),
    "command_cancel": press(SEE),
    "command_rerun": press(SEE),
    "command_output": page(SEE, name="stdout"),
    "recording_list": page(WATCH),
    "recording_replay": page(WATCH),
    "recording_cast": page(WATCH),
    "recording_download": page(WATCH),
    "image_list": page(EVERYBODY),
    "image_part": page(EVERYBODY),
    "image_pull": press(STAFF),
    "system": page(STAFF),
    "profile": form(EVERYBODY),
    "course_list": page(EVERYBODY),
    "course_new": form(STAFF),
    "course_detail": page(IN_IT),
    "course_settings": form(MANAGE),
    "roster_list": page(LOOK),
    "roster_paste": form(MANAGE),
    "roster_preview": form(MANAGE),
    "roster_export": page(MANAGE),
    "roster_person": form(MANAGE),
    "roster_act": press(MANAGE, action="renew"),
    "course_join": form(LOOK, post=MANAGE, do="code"),
    "course_cards": page(MANAGE),
    "roster_mail": press(MANAGE),
    "course_code": page(LOOK),
    "template_list": page(MANAGE),
    "template_new": form(MANAGE),
    "template_preview": press(MANAGE, {"sheet": "# A"}),
    "template_edit": form(MANAGE),
    "template_act": press(MANAGE, action="publish"),
    "seat_join": form(OWN),
    "seat_detail": page(OWN),
    "seat_part": page(OWN, name="header"),
    "seat_step": press(OWN, {"do": "go", "step": "1"}),
    "seat_hand": press(OWN, {"text": "help"}),
    "seat_typing": press(OWN, {"do": "no"}),
    "seat_start_over": press(OWN),
    "seat_retry": press(OWN),
    "seat_work": page(WORK),
    "lab_new": form(MANAGE),
    "lab_detail": page(LOOK),
    "lab_act": press(MANAGE, action="pull"),
    "seat_extend": press(LOOK),
    "seat_save": press(LOOK),
    "wall": page(LOOK),
    "room_help": page(LOOK),
    "hand_act": press(LOOK, action="claim"),
    "look": page(LOOK),
    "look_act": press(LOOK, action="ask"),
    "to_many": press(LOOK, {"do": "message", "text": "x", "all": "1"}),
    "lab_run": page(LOOK),
    "lab_run_retry": press(LOOK),
    "lab_run_csv": page(LOOK),
    "lab_overview": page(LOOK),
    "overview_csv": page(LOOK),
    "lab_work": page(LOOK),
    "seat_story": page(LOOK),
}

OPEN = {
    "sign_in",
    "sign_out",
    "sign_in_link",
    "healthz",
    "readyz",
    "metrics",
    "join",
    "join_invite",
    "join_link",
}
"""What needs no session; each has tests of its own for what it gives and to whom."""

TOLD = {"image_pull", "course_new", "system"}
"""Where the page is known to all and the right to it is not: 403 and not 404."""


# -- addresses ----------------------------------------------------------------------------------

NOTHING = {"pk": {"sandboxes": "sb_nothinghere", "images": 999_999, "hands": 999_999,
                  "courses": "crs_nothing", "templates": "tpl_nothing", "labs": "lab_nothing",
                  "seats": "seat_nothing"},
           "command": "cmd_nothing", "recording": "rec_nothing", "person": 999_999,
           "number": 999_999}  # fmt: skip
"""Ids that nothing has."""


def site_routes() -> dict[str, str]:
    """Every path of the site but the admin's: name to route."""
    patterns = [one for one in get_resolver().url_patterns if not str(one.pattern).startswith("admin/")]
    found: dict[str, str] = {}
    for one in patterns:
        if isinstance(one, URLPattern):
            found[str(one.name)] = str(one.pattern)
        elif str(one.pattern) == "":
            found |= {str(each.name): str(each.pattern) for each in one.url_patterns}
    return found


def admin_routes() -> list[tuple[str, str, list[str]]]:
    """Every path of the admin: name, route, and what its address names."""

    def walk(patterns: list[Any], before: str) -> list[tuple[str, str, list[str]]]:
        found = []
        for one in patterns:
            route = f"{before}{one.pattern}"
            if isinstance(one, URLResolver):
                found += walk(one.url_patterns, route)
            else:
                found.append((str(one.name or ""), route, list(one.pattern.regex.groupindex)))
        return found

    return [one for one in walk(get_resolver().url_patterns, "") if one[1].startswith("admin/")]


OWNED = {"sandboxes", "seats"}
"""What is one student's, and no more when they are taken out."""


def kind_of(route: str) -> str:
    """What an address is about."""
    return route.partition("/")[0]


def secondary(route: str) -> bool:
    """Whether an address names a thing within a thing."""
    return any(f":{name}>" in route for name in ("command", "recording", "person", "number"))


def address(name: str, world: World, first: Place | None, second: Place | None) -> str:
    """The address of a path for a place's things; None stands for what is not there."""
    route = site_routes()[name]
    kind = kind_of(route)
    pks = vars(first) | {"image": world.image} if first else {}
    one = {"sandboxes": "sandbox", "images": "image", "courses": "course", "templates": "template",
           "labs": "lab", "seats": "seat", "hands": "hand"}  # fmt: skip
    known: dict[str, Any] = {"pk": pks[one[kind]].pk if first and kind in one else NOTHING["pk"].get(kind)}
    for word, attribute in (("command", "command"), ("recording", "recording"), ("person", "person"),
                            ("number", "run")):  # fmt: skip
        known[word] = getattr(second, attribute).pk if second else NOTHING[word]
    known |= ROUTES[name].words
    return reverse(name, kwargs={word: known[word] for word in known if f":{word}>" in route})
