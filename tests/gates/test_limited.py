"""Every path about a course, for who came by a personal link: as the table says here, closed everywhere else.

The rules are those of everybody; what is shown is that the middleware, which keeps such a session to
its course, knows the course of whatever a path names. One that it does not know fails here.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client

from sandboxes.labs import accounts, links
from sandboxes.labs.models import Enrollment
from sandboxes.models import User

from . import rules
from .rules import ROUTES
from .test_pages import Case, ask, came_of, cases, has_id
from .world import CROSSED, HERE, World

pytestmark = pytest.mark.django_db
BY_LINK = ("student", "assistant", "instructor")


def came_by_link(world: World, role: str) -> Client:
    """A browser in which this one came by the link on their card: their account was made for the course."""
    user = world.users[role]
    User.objects.filter(pk=user.pk).update(password=accounts.no_password())
    Enrollment.objects.filter(user=user).update(account_made=True)
    client = Client()
    assert client.post(links.path(Enrollment.objects.get(user=user))).status_code == 303
    assert client.session["course"] == world.places[HERE].course.pk
    return client


def about_courses(role: str) -> Iterator[Case]:
    """Every request to a path that names a course, or something in one."""
    routes = rules.site_routes()
    named = {name for name in ROUTES if has_id(name) and rules.kind_of(routes[name]) != "images"}
    yield from (case for case in cases(role) if case.name in named)


def expected(case: Case) -> str:
    """Here as for everybody; elsewhere the session ends at the door, whatever is there."""
    return case.expected() if case.target in (CROSSED, HERE) else "403"


@pytest.mark.parametrize("role", BY_LINK)
def test_a_link_opens_all_of_its_course_and_nothing_else(world: World, role: str) -> None:
    world.browsers[role] = came_by_link(world, role)
    wrong, asked = [], set()
    for case in about_courses(role):
        answer, noted = ask(case, world)
        asked.add((case.name, case.method))
        if came_of(answer) != expected(case):
            wrong.append(f"{case}: {came_of(answer)}, not {expected(case)}")
        elif came_of(answer) == "403" and not noted:
            wrong.append(f"{case}: not on record")
    assert wrong == []
    assert ("hand_act", "post") in asked
    assert len(asked) >= 60
