"""No page of somebody else's presses a button here, and looking at a page changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse

from sandboxes import access
from sandboxes.labs import joining, links
from sandboxes.labs.models import Course, Enrollment, Seat
from sandboxes.models import Event, Outcome, User

from . import world as worlds
from .rules import ROUTES, address
from .test_admin import KNOWN, addresses
from .world import HERE, World

pytestmark = pytest.mark.django_db
OTHER = "o" * 64
"""A token as good as any, of somebody else's."""


def no_token(token: str) -> dict[str, Any]:
    return {}


def a_made_up_one(token: str) -> dict[str, Any]:
    return {"HTTP_X_CSRFTOKEN": OTHER}


def another_site(token: str) -> dict[str, Any]:
    return {"HTTP_X_CSRFTOKEN": token, "HTTP_ORIGIN": "https://evil.example"}


def another_port(token: str) -> dict[str, Any]:
    """What a sandbox serves on this host shares our cookies."""
    return {"HTTP_X_CSRFTOKEN": token, "HTTP_ORIGIN": "http://testserver:8081"}


def nobody_in_particular(token: str) -> dict[str, Any]:
    more = {"HTTP_ORIGIN": "null", "HTTP_SEC_FETCH_SITE": "cross-site", "HTTP_SEC_FETCH_MODE": "no-cors"}
    return {"HTTP_X_CSRFTOKEN": token, **more}


def told_to_be_a_look(token: str) -> dict[str, Any]:
    return {"HTTP_X_HTTP_METHOD_OVERRIDE": "GET", "HTTP_X_METHOD_OVERRIDE": "GET"}


FORGERIES: list[Callable[[str], dict[str, Any]]] = [
    no_token, a_made_up_one, another_site, another_port, nobody_in_particular, told_to_be_a_look
]  # fmt: skip


def paths(world: World) -> list[str]:
    """Every path that takes a POST, the admin's and those without a session among them."""
    place = world.places[HERE]
    found = [address(name, world, place, place) for name, row in ROUTES.items() if row.post is not None]
    found += [path for name, path in addresses(world) if name not in KNOWN]
    return [*found, *open_paths(world)]


def open_paths(world: World) -> list[str]:
    person = world.places[HERE].person
    invite = joining.new_invite(person.course, worlds.NOBODY)
    return [reverse("sign_in"), reverse("sign_out"), access.signin_path(world.users["student"]),
            reverse("join"), reverse("join_invite", args=[invite]), links.path(person)]  # fmt: skip


@pytest.fixture
def victim(world: World) -> tuple[Client, str]:
    """An instructor's browser that checks, and its token."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.users["instructor"])
    client.get(reverse("profile"))
    return client, client.cookies["csrftoken"].value


@pytest.mark.parametrize("forge", FORGERIES)
def test_no_forged_form_changes_anything(world: World, victim: tuple[Client, str], forge: Any) -> None:
    client, token = victim
    asked = paths(world)
    before, missed = rows(), []
    for path in asked:
        answer = client.post(path, {"action": "remove", "do": "code"}, **forge(token))
        if answer.status_code != 403 or "too old" not in answer.content.decode():
            missed.append((path, answer.status_code))
    assert missed == []
    assert changed(before) == []
    assert len(asked) > 100
    assert Event.objects.filter(action="page.open", outcome=Outcome.REFUSED, actor_name="ines").exists()


def test_the_same_form_from_our_own_page_is_taken(world: World, victim: tuple[Client, str]) -> None:
    """Else the test above would prove nothing."""
    client, token = victim
    answer = client.post(reverse("profile"), {"form": "about", "first_name": "Ines"}, HTTP_X_CSRFTOKEN=token,
                         HTTP_ORIGIN="http://testserver")  # fmt: skip
    assert answer.status_code == 303
    assert User.objects.get(username="ines").first_name == "Ines"


# -- looking changes nothing ----------------------------------------------------------------------

TRAIL = {"event", "session", "lease", "seal", "tally", "cursor"}
"""That somebody looked is on record; who is there keeps a session."""


def rows() -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table but the trail's."""
    models = [model for model in apps.get_models() if model._meta.model_name not in TRAIL]
    return {model._meta.label: list(model._default_manager.order_by("pk").values_list()) for model in models}


def changed(before: dict[str, list[tuple[Any, ...]]]) -> list[str]:
    after = rows()
    return [label for label in after if before[label] != after[label]]


def cells(model: Any) -> dict[tuple[Any, str], Any]:
    """Every value of a table, by its row's key and its column."""
    return {(row["pk"], name): value for row in model.objects.values("pk", *columns(model))
            for name, value in row.items()}  # fmt: skip


def columns(model: Any) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]


CAME = {"joined_at", "seen_at"}
"""A record of access, like the trail's: when a student came to their own seat first, and was there last."""
NOTES_IT = {"seat_detail", "seat_part"}
"""The only pages that keep it."""
TAKEN = {"recording.watch", "recording.download", "seat.download"}
LOOKED = {"seat.look", "lab.export", "lab.download", "roster.export", "roster.cards"}
TOLD = {"student": TAKEN | {"seat.join"}, "instructor": TAKEN | LOOKED}
TOLD["auditor"] = TOLD["instructor"]
"""What the trail has of looking, refusals apart: who came, looked in, and took something along."""


FORM = {"action": "remove", "do": "end", "confirm": "1", "form": "about", "code": "abcd2345"}
OVERRIDES = {f"HTTP_X_{name}": "POST" for name in ("HTTP_METHOD_OVERRIDE", "HTTP_METHOD", "METHOD_OVERRIDE")}


@pytest.mark.parametrize("role", ["student", "instructor", "auditor"])
def test_looking_at_any_page_changes_nothing(world: World, role: str) -> None:
    """Each path with GET and HEAD, also those that only take a POST, with what a form would send, and with
    what other servers take for another method."""
    place, client = world.places[HERE], world.browser(role)
    everything = [address(name, world, place, place) for name in ROUTES] + open_paths(world)
    before, seats, last = rows(), cells(Seat), Event.objects.latest("id").pk
    for path in everything:
        for method in (client.get, client.head):
            method(path, FORM | {"_method": "POST"}, **OVERRIDES)
    came = {(place.seat.pk, name) for name in CAME} if role == "student" else set()
    assert changed(before) == (["labs.Seat"] if came else [])
    assert {at for at, value in cells(Seat).items() if seats[at] != value} == came
    done = Event.objects.filter(pk__gt=last, outcome=Outcome.OK).values_list("action", flat=True)
    assert set(done) == TOLD[role]


def test_that_a_student_came_is_noted_by_two_pages_and_no_other(world: World) -> None:
    place, client, noting = world.places[HERE], world.browser("student"), set()
    for name in ROUTES:
        Seat.objects.filter(pk=place.seat.pk).update(joined_at=None, seen_at=None)
        before = rows()
        client.get(address(name, world, place, place))
        if changed(before):
            noting.add(name)
    assert noting == NOTES_IT


# -- sessions -----------------------------------------------------------------------------------


def by_password(world: World) -> tuple[str, dict[str, str]]:
    return reverse("sign_in"), {"username": "alice", "password": worlds.PASSWORD}


def by_link(world: World) -> tuple[str, dict[str, str]]:
    return access.signin_path(world.users["student"]), {}


def as_guest(world: World) -> tuple[str, dict[str, str]]:
    invite = joining.new_invite(world.places[HERE].course, worlds.NOBODY)
    return reverse("join_invite", args=[invite]), {"name": "Grace Guest"}


def by_personal_link(world: World) -> tuple[str, dict[str, str]]:
    user = User.objects.create_user("card")
    person = Enrollment.objects.create(course=Course.objects.get(title="Here"), user=user, name="Card",
                                       account_made=True)  # fmt: skip
    return links.path(person), {}


@pytest.mark.parametrize("way", [by_password, by_link, as_guest, by_personal_link])
def test_a_session_that_was_there_before_is_not_the_one_that_is_signed_in(world: World, way: Any) -> None:
    """Whoever put a session into somebody's browser does not get theirs."""
    client = Client()
    client.session.save()
    session = client.session
    session["planted"] = True
    session.save()
    planted = session.session_key
    client.cookies["sessionid"] = planted
    path, data = way(world)
    assert client.post(path, data).status_code == 303
    assert "_auth_user_id" in client.session
    assert client.session.session_key != planted
    stranger = Client()
    stranger.cookies["sessionid"] = planted
    assert "_auth_user_id" not in stranger.session


def test_a_session_that_was_signed_out_is_good_for_nothing(world: World) -> None:
    client = world.browser("student")
    kept = client.cookies["sessionid"].value
    client.post(reverse("sign_out"))
    client.cookies["sessionid"] = kept
    assert client.get(reverse("sandbox_list")).status_code == 302


@pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:1",
                                "http:evil.example", "\t//evil.example"])  # fmt: skip
def test_nobody_is_led_elsewhere(world: World, to: str) -> None:
    answer = Client().post(reverse("sign_in"), {"username": "alice", "password": worlds.PASSWORD, "next": to})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sandboxes/")
    door = Client().get("/admin/login/", {"next": to})
    assert "evil" not in door.headers["Location"]
