"""Whose e-mail it is: a profile proves nothing, the instructor confirms, a personal link invites."""

from __future__ import annotations

import pytest
from django.urls import reverse

from sandboxes.labs import joining, links, roster, roster_lines, seats
from sandboxes.labs.models import Course, Enrollment, Role
from sandboxes.models import Event, User
from tests.pages.conftest import browser, text

from .conftest import PROF

pytestmark = pytest.mark.django_db
ROSTER = "name;email;id;section;role\nVera;vera@x.org;9;A;assistant"


@pytest.fixture
def mallory(db) -> User:
    """Somebody who wrote Vera's e-mail into her own profile."""
    return User.objects.create_user("mallory", "vera@x.org", "pw")


def apply(course: Course, by: User, theirs=()):
    draft = roster.keep(course, by, roster_lines.read(ROSTER))
    return roster.apply(draft, PROF, by, roster.compare(draft, by).fingerprint, (), theirs)


def vera(course: Course) -> Enrollment:
    return course.enrollments.get(name="Vera")


def test_an_unconfirmed_account_gets_nothing(course, ines, mallory):
    apply(course, ines)
    assert not mallory.enrollments.exists()
    assert (vera(course).account_made, vera(course).role) == (True, Role.ASSISTANT)
    assert links.may_sign_in(vera(course))


def test_nor_where_it_had_joined_by_the_invite_link(course, ines, mallory):
    joining.join(course, mallory, PROF, "invite")
    apply(course, ines)
    hers = mallory.enrollments.get()
    assert (hers.role, hers.student_id, hers.email_confirmed) == (Role.STUDENT, "", False)
    assert vera(course).user != mallory
    draft = roster.keep(course, ines, roster_lines.read(ROSTER))
    again = roster.compare(draft, ines)
    assert ([one.user for one in again.same], again.new) == ([vera(course).user], [])


def test_a_confirmed_one_is_theirs_and_stays_so(course, ines, mallory):
    apply(course, ines, theirs=[2])
    assert (vera(course).user, vera(course).account_made) == (mallory, False)
    assert Event.objects.get(action="roster.apply").detail["known"] == 1
    assert apply(course, ines).new == []


def test_an_instructor_who_corrects_an_email_has_confirmed_it(course, ines, mallory):
    joining.join(course, mallory, PROF, "invite")
    hers = mallory.enrollments.get()
    address = reverse("roster_person", args=[course.pk, hers.pk])
    form = {"name": "Vera", "email": "v@x.org", "student_id": "", "section": "", "role": "student"}
    browser(ines).post(address, form)
    hers.refresh_from_db()
    assert (hers.email, hers.email_confirmed) == ("v@x.org", True)


def test_who_applies_it_is_not_asked_about_themselves(course, ines):
    Enrollment.objects.filter(user=ines).update(email=ines.email, email_confirmed=False)
    draft = roster.keep(course, ines, roster_lines.read(f"name;email\nInes M;{ines.email}"))
    assert [one.person.user for one in roster.compare(draft, ines).changed] == [ines]


def test_the_preview_asks_and_the_tick_answers(course, ines, mallory):
    client = browser(ines)
    client.post(reverse("roster_paste", args=[course.pk]), {"text": ROSTER})
    address = reverse("roster_preview", args=[course.pk])
    page = client.get(address)
    assert "Is it them?" in text(page)
    assert 'name="theirs" value="2"' in text(page)
    seen = page.context["changes"].fingerprint
    client.post(address, {"seen": seen, "theirs": "2"})
    assert vera(course).user == mallory


# -- with the link, an account of one's own -----------------------------------------------------


@pytest.fixture
def invited(course, ines, mallory, alice) -> Enrollment:
    apply(course, ines)
    return vera(course)


def test_who_was_given_the_link_comes_in_with_their_own_account(invited, course):
    real = User.objects.create_user("vera", "other@x.org", "pw")
    client, address = browser(real), links.path(invited)
    assert "Come in as vera" in text(client.get(address))
    client.post(address, {"do": "adopt"})
    made = invited.user
    invited.refresh_from_db()
    assert (invited.user, invited.account_made, invited.role) == (real, False, Role.ASSISTANT)
    assert client.get(reverse("course_detail", args=[course.pk])).status_code == 200
    assert not made.enrollments.exists()
    assert not links.may_sign_in(invited)
    assert Event.objects.get(action="roster.adopt").actor_name == "vera"


def test_whoever_is_in_the_course_has_a_place_already(invited, alice):
    client = browser(alice)
    assert "Come in as alice" not in text(client.get(links.path(invited)))
    client.post(links.path(invited), {"do": "adopt"})
    invited.refresh_from_db()
    assert invited.user != alice


def test_where_work_was_done_under_it_the_place_stays(invited, open_lab):
    seats.take(open_lab, invited, PROF)
    real = User.objects.create_user("vera", "other@x.org", "pw")
    assert not links.may_adopt(invited, real)
    assert not links.adopt(invited, real, PROF)
