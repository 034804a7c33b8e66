"""Who may open and press what about courses and people: every route, for everybody there is."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse

from sandboxes.labs.models import Course, Enrollment, Role
from sandboxes.models import User

from .conftest import enroll
from .test_courses import browser

pytestmark = pytest.mark.django_db

WHO = ("anonymous", "ines", "tina", "alice", "stranger", "elsewhere", "prof", "disabled")
LOOK = (302, 200, 200, 404, 404, 404, 200, 302)
MANAGE = (302, 200, 404, 404, 404, 404, 200, 302)
CHANGE = (302, 303, 404, 404, 404, 404, 303, 302)

# name: (method, a status for each of WHO)
ROUTES = {
    "course_list": ("get", (302, 200, 200, 200, 200, 200, 200, 302)),
    "course_new": ("get", (302, 403, 403, 403, 403, 403, 200, 302)),
    "course_detail": ("get", (302, 200, 200, 200, 404, 404, 200, 302)),
    "course_settings": ("get", MANAGE),
    "roster_list": ("get", LOOK),
    "roster_paste": ("get", MANAGE),
    "roster_preview": ("get", CHANGE),  # there is no draft: back to the list
    "roster_export": ("get", MANAGE),
    "roster_person": ("get", MANAGE),
    "roster_act": ("post", CHANGE),
    "course_join": ("get", LOOK),
    "course_code": ("get", LOOK),
    "course_cards": ("get", MANAGE),
    "roster_mail": ("post", CHANGE),
}
OPEN = {"join", "join_invite", "join_link"}
"""What needs no session; tested with what it does."""


@pytest.fixture
def cast(course: Course, ines: User, tina: User, alice: User, prof: User) -> dict[str, User | None]:
    """Everybody of WHO; the disabled one teaches."""
    elsewhere, disabled = User.objects.create_user("elsewhere"), User.objects.create_user("disabled")
    enroll(Course.objects.create(title="Elsewhere"), elsewhere, Role.INSTRUCTOR)
    enroll(course, disabled, Role.INSTRUCTOR)
    known = {"ines": ines, "tina": tina, "alice": alice, "prof": prof, "elsewhere": elsewhere}
    return known | {"anonymous": None, "disabled": disabled, "stranger": User.objects.create_user("stranger")}


def routes() -> list[URLPattern]:
    """Those of this wing's people, once the site's paths are known."""
    assert get_resolver().url_patterns
    from sandboxes.labs.paths import people

    return people.urlpatterns


def address(name: str, course: Course) -> str:
    pattern = next(one for one in routes() if one.name == name)
    known = {"pk": course.pk, "person": course.enrollments.get(name="Bob").pk, "action": "remove"}
    return reverse(name, kwargs={key: known[key] for key in pattern.pattern.converters})


def test_every_route_is_in_the_matrix():
    assert {one.name for one in routes()} == set(ROUTES) | OPEN


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("name", ROUTES)
def test_route(name, who, cast, course, bob):
    method, statuses = ROUTES[name]
    client = browser(cast[who])
    User.objects.filter(username="disabled").update(is_active=False)
    answer = getattr(client, method)(address(name, course))
    assert answer.status_code == statuses[WHO.index(who)]
    if answer.status_code == 200:
        assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("name", [name for name, (method, _) in ROUTES.items() if method == "post"])
def test_a_change_is_never_made_by_get(name, cast, course, ines):
    before = list(Enrollment.objects.order_by("pk").values())
    assert browser(ines).get(address(name, course)).status_code == 405
    assert list(Enrollment.objects.order_by("pk").values()) == before


@pytest.mark.parametrize(
    "name",
    ["course_settings", "roster_paste", "roster_preview", "roster_person", "roster_act", "course_join"],
)
def test_a_change_needs_the_token(name, cast, course, ines):
    client = Client(enforce_csrf_checks=True)
    client.force_login(ines)
    assert client.post(address(name, course), {"title": "x"}).status_code == 403
