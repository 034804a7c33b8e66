"""Every path of the admin: for staff by their permissions, for nobody else."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.admin.sites import site
from django.contrib.admin.utils import quote
from django.contrib.contenttypes.models import ContentType
from django.urls import reverse

from sandboxes.admin import ReadOnly
from sandboxes.labs.models import Seat
from sandboxes.models import Event, Outcome, User

from . import world as worlds
from .rules import admin_routes
from .world import World

pytestmark = pytest.mark.django_db
OURS = {"login", "logout", "password_change"}
"""The admin's own forms that ours stand in front of."""
PAGES = re.compile(r"^(\w+)_(\w+)_(changelist|add|history|delete|change)$")
KNOWN = {"index", "password_change_done", "autocomplete", "jsi18n", "view_on_site",
         "auth_user_password_change", "app_list", "", "admin_door", "admin_sign_out",
         "admin_password", "sandboxes_event_export", "sandboxes_webhook_test",
         "sandboxes_webhook_secret"} | OURS  # fmt: skip
MODELS = {(model._meta.app_label, model._meta.model_name): model for model in site._registry}


def test_every_path_of_the_admin_is_of_a_known_kind():
    """A model that is added later is covered by its pattern; a page of another kind fails here."""
    for name, route, _ in admin_routes():
        found = PAGES.match(name)
        assert name in KNOWN or (found and found.groups()[:2] in MODELS), route


def addresses(world: World) -> list[tuple[str, str]]:
    """Each path with its name, about rows that are there."""
    person = world.users["student"]
    users = ContentType.objects.get_for_model(User).pk
    numbers = {
        "content_type_id": users,
        "id": person.pk,
        "app_label": "labs",
        "url": "nothing/",
        "name": "csv",
    }
    found = []
    for name, route, words in admin_routes():
        kind = re.match(r"admin/(\w+)/(\w+)/", route)
        model: Any = MODELS.get(kind.groups()) if kind else None  # type: ignore[arg-type]
        row = model.objects.first() if model else None
        known = numbers | {"object_id": quote(row.pk) if row else "999999", "pk": 1}
        path = fill(route, known)
        found.append((name, "/" + path))
        assert set(words) <= set(known)
    return found


def fill(route: str, known: dict[str, Any]) -> str:
    """A route with its gaps filled."""
    gaps = r"<(?:\w+:)?(\w+)>|\^?\(\?P<(\w+)>[^)]*\)\$?"
    return re.sub(gaps, lambda one: str(known[one[1] or one[2]]), route)


@pytest.mark.parametrize("role", ["anonymous", "disabled", "student", "instructor"])
def test_the_admin_is_for_staff(world: World, role: str) -> None:
    client, asked = world.browser(role), 0
    for name, path in addresses(world):
        if name in OURS or name.startswith("admin_"):
            continue
        for method in ("get", "post"):
            answer = getattr(client, method)(path)
            assert answer.status_code == 302, path
            assert answer.headers["Location"].startswith("/admin/login/"), path
            asked += 1
    assert asked > 150


@pytest.mark.parametrize("role", ["anonymous", "disabled"])
def test_its_door_is_the_sites_own(world: World, role: str) -> None:
    """One place that counts wrong passwords and puts them on record."""
    answer = world.browser(role).get("/admin/login/?next=/admin/sandboxes/event/")
    assert answer.headers["Location"] == "/sign-in/?next=/admin/sandboxes/event/"
    answer = world.browser(role).post("/admin/login/", {"username": "prof", "password": worlds.PASSWORD})
    assert answer.headers["Location"].startswith("/sign-in/")
    assert "_auth_user_id" not in world.browser("anonymous").session


def test_who_is_no_staff_is_told_so_once(world: World) -> None:
    """Not sent round in a circle; and it is on record."""
    answer = world.browser("student").get("/admin/", follow=True)
    assert answer.status_code == 403
    event = Event.objects.get(outcome=Outcome.REFUSED)
    assert (event.action, event.actor_name) == ("page.open", "alice")


@pytest.mark.parametrize("role", ["staff", "auditor"])
def test_staff_see_what_they_have_the_permission_for(world: World, role: str) -> None:
    """Without any: the front page. With those to look: lists, rows and their history; nothing is changed."""
    client, wrong = world.browser(role), []
    for name, path in addresses(world):
        if name in KNOWN or not (found := PAGES.match(name)):
            continue
        looks = role == "auditor" and found[3] in ("changelist", "history", "change")
        expected = {200} if looks else {403}
        expected |= {302} if path.find("/999999/") > 0 else set()  # there is none: to the front page
        if client.get(path).status_code not in expected:
            wrong.append(path)
    assert wrong == []


@pytest.mark.parametrize(("role", "status"), [("staff", 403), ("auditor", 200)])
def test_the_trail_is_taken_along_by_who_may_read_it(world: World, role: str, status: int) -> None:
    path = reverse("admin:sandboxes_event_export", args=["csv"])
    assert world.browser(role).post(path).status_code == status
    assert world.browser(role).get(path).status_code in (403, 405)


def test_what_they_may_not_is_on_record(world: World) -> None:
    assert world.browser("auditor").get("/admin/sandboxes/user/add/").status_code == 403
    event = Event.objects.get(outcome=Outcome.REFUSED)
    assert (event.action, event.detail["path"]) == ("page.open", "/admin/sandboxes/user/add/")


def test_no_superuser_rewrites_a_record(world: World, root: User) -> None:
    """Add, change and delete of every record, by somebody with every permission."""
    client = world.browser("anonymous")
    client.force_login(root)
    for (app, model), which in MODELS.items():
        row = which.objects.first()
        if row is None or not isinstance(site._registry[which], ReadOnly):
            continue
        for page, args in (("add", []), ("change", [quote(row.pk)]), ("delete", [quote(row.pk)])):
            path = reverse(f"admin:{app}_{model}_{page}", args=args)
            assert client.post(path, {"post": "yes"}).status_code == 403, path


def test_a_seats_link_leads_to_its_sandbox() -> None:
    """Whatever its id: the admin would take this one's for a sign that is written so."""
    link = site._registry[Seat].sandbox_link(Seat(sandbox_id="sb_22abcdefgh"))
    path = reverse("admin:sandboxes_sandbox_change", args=["sb_5F22abcdefgh"])
    assert f'"{path}"' in link


def test_signing_out_in_the_admin_is_on_record(world: World) -> None:
    world.browser("staff").post(reverse("admin:logout"))
    assert Event.objects.filter(action="user.sign_out", actor_name="prof").exists()


def test_ones_own_password_is_changed_in_the_profile(world: World) -> None:
    answer = world.browser("staff").get(reverse("admin:password_change"))
    assert answer.headers["Location"] == "/profile/"
